"""Amounts are integers of millionths, rounded half-even from what the sender wrote."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rules.numbers import micros, number, product_micros

plain = st.floats(-1e13, 1e13, allow_nan=False)
decimals = st.builds(
    lambda n, places: float(Decimal(n).scaleb(-places)), st.integers(-(10**15), 10**15), st.integers(0, 9)
)
factors = st.one_of(st.integers(-(10**7), 10**7), decimals, st.floats(-1e7, 1e7, allow_nan=False))


def by_hand(value: Fraction) -> int | None:
    return None if abs(value) > 10**12 else round(value * 10**6)  # a Fraction rounds half-even


@given(st.one_of(plain, decimals))
@settings(max_examples=500)
@example(0.0000005)
@example(0.0000015)
@example(-0.0000025)
@example(9_999_999.9999995)
@example(1e12)
@example(1000000000000.0001)
def test_a_float_counts_as_the_decimal_it_is_written_as(value: float) -> None:
    assert micros(value) == by_hand(Fraction(repr(value)))


@given(st.integers(-2 * 10**12, 2 * 10**12))
def test_an_integer_counts_as_it_is(value: int) -> None:
    assert micros(value) == by_hand(Fraction(value))


@pytest.mark.parametrize(
    ("value", "found"),
    [(10**12, 10**18), (-(10**12), -(10**18)), (10**12 + 1, None), (1e12, 10**18), (1e300, None), (10**300, None)],
)
def test_what_is_beyond_a_trillion_is_left_out(value: float, found: int | None) -> None:
    assert micros(value) == found


@pytest.mark.parametrize("value", [True, False, None, "1", [1], {}, float("nan"), float("inf"), -float("inf")])
def test_what_is_no_number_is_left_out(value: Any) -> None:
    assert micros(value) is None
    assert product_micros(value, 1) is None
    assert product_micros(1.5, value) is None


@given(factors, factors)
@example(5 * 10**29 + 1, 1e-36)  # more digits than decimal arithmetic keeps unasked
@example(0.0000005, 1)
@example(33.3333335, 0.1)
def test_a_product_is_rounded_once(left: float, right: float) -> None:
    assert product_micros(left, right) == by_hand(Fraction(repr(left)) * Fraction(repr(right)))


@given(st.integers(-(10**15), 10**15))
def test_millionths_are_shown_as_the_number_they_are(amount: int) -> None:
    shown = number(amount)
    with localcontext() as context:
        context.prec = 40
        expected = Decimal(amount).scaleb(-6).quantize(Decimal("0.000001"), rounding=ROUND_HALF_EVEN)

    assert isinstance(shown, int) == (amount % 10**6 == 0)
    assert micros(shown) == amount
    assert Decimal(repr(shown)) == expected
