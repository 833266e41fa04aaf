"""Fixed-point numbers: amounts are ints of millionths ("micros"), rounded half-even on entry: sums never drift."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Any

from rules.limits import AMOUNT_MAX

MICRO = 1_000_000
_MICRO_MAX = AMOUNT_MAX * MICRO
_PLAIN_MAX = 1e7  # below it a float times a million is off by far less than the margin below
_STEP = Decimal("0.000001")
_EXACT = Context(prec=700)  # the digits of two factors of any JSON number: a product is rounded once, not twice


def micros(value: Any) -> int | None:
    """A JSON number as millionths; None for what is no number (booleans too), not finite, or beyond ±1e12.

    >>> micros(33.3), micros(2), micros("2"), micros(True), micros(0.0000005), micros(1e13)
    (33300000, 2000000, None, None, 0, None)
    """
    kind = type(value)
    if kind is int:
        scaled = value * MICRO
    elif kind is float:
        near = value * 1e6
        if not -_PLAIN_MAX * 1e6 < near < _PLAIN_MAX * 1e6:
            return exact_micros(value)
        scaled = round(near)
        if abs(near - scaled) > 0.4:  # too close to a half to trust binary arithmetic
            return exact_micros(value)
    else:
        return None
    return scaled if -_MICRO_MAX <= scaled <= _MICRO_MAX else None


def exact_micros(value: float) -> int | None:
    """The same by decimal arithmetic on the number's shortest text (what the sender wrote)."""
    return _rounded(Decimal(repr(value)))


def product_micros(left: Any, right: Any) -> int | None:
    """`left * right` in millionths, rounded once, half-even; None when either is no number."""
    if type(left) is int and type(right) is int:
        return micros(left * right)
    if type(left) not in (int, float) or type(right) not in (int, float):
        return None
    return _rounded(_EXACT.multiply(Decimal(repr(left)), Decimal(repr(right))))


def _rounded(number: Decimal) -> int | None:
    if not number.is_finite() or abs(number) > AMOUNT_MAX:
        return None
    try:
        return int(number.quantize(_STEP, rounding=ROUND_HALF_EVEN).scaleb(6))
    except InvalidOperation:
        return None


def number(micros_value: int) -> int | float:
    """Millionths as the JSON number a reader expects: an int where it is whole.

    >>> number(1204500000), number(3000000)
    (1204.5, 3)
    """
    whole, rest = divmod(micros_value, MICRO)
    return micros_value / MICRO if rest else whole
