"""Comparisons: types never mix, strings compare exactly, null is missing (contract §2, Operators)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.compare import key, kind, predicate, scalar
from tests.rules.building import comparison

LISTS: list[Any] = [[], ["red"], [1, "a"], [True]]
TABLE: list[tuple[str, list[Any], list[Any]]] = [
    # operators, values for which they hold, values for which they do not
    ("eq: 1", [1, 1.0], ["1", True, 2, None, [1], {}]),
    ('eq: "1"', ["1"], [1, None, ["1"]]),
    ("eq: true", [True], [1, "true", False, None]),
    ("eq: 0", [0, 0.0, -0.0], [False, None, ""]),
    ("eq: red", ["red"], ["Red", "red ", ["red"], None]),
    ("ne: 1", ["1", True, 2, None, [1]], [1, 1.0]),
    ("ne: red", [None, "Red", 1], ["red"]),
    ('in: [1, red, "2"]', [1, 1.0, "red", "2"], [2, "1", True, None, [1]]),
    ('not_in: [1, red, "2"]', [2, "1", True, None, [1], {}], [1, "red", "2"]),
    ("gt: 5", [5.1, 6, 10**30], [5, 4, "6", True, None, [6]]),
    ("gte: 5", [5, 5.0], [4.999999, "5"]),
    ("lt: 1", [0, -3, 0.5], [1, False, "0", None]),
    ("lte: 0", [0, -0.0], [0.1, False]),
    ("gt: b", ["c", "ba", "é"], ["b", "a", "B", 1, None]),
    ("lte: b", ["b", "B", "", "a"], ["c", 0]),
    ("gte: 1, lt: 3", [1, 2.9], [0.9, 3]),
    ("contains: e", ["red", "e"], ["", "RED", None, 1, ["red"]]),
    ("contains: red", [["blue", "red"], "colored"], [["Red"], [["red"]], {"red": 1}]),
    ("contains: 1", [[1], [1.0], ["1", 1]], [["1"], [True], "1", 1]),
    ("contains: true", [[True]], [[1], ["true"]]),
    ("starts_with: re", ["red", "re"], ["Red", "are", None, ["red"], 1]),
    ("ends_with: ue", ["blue"], ["bluE", "uex", None]),
    ('starts_with: ""', ["", "x"], [None, 1]),
    ("matches: '^r.d$'", ["red", "rad"], ["bred", "reds", None, 1, ["red"]]),
    ("matches: 'ed'", ["red", "edit"], ["rad"]),
    ("exists: true", [0, "", False, [], {}], [None]),
    ("exists: false", [None], [0, "", False, []]),
    ("size: {gte: 2}", [[1, 2], [None, None, None]], [[1], [], "ab", None, {"a": 1, "b": 2}]),
    ("size: {eq: 0}", [[]], [[1], None, ""]),
]
ROWS = [(text, value, True) for text, yes, _ in TABLE for value in yes]
ROWS += [(text, value, False) for text, _, no in TABLE for value in no]

scalars = st.one_of(
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.integers(-3, 3).map(float),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=4),
    st.sampled_from(["\x00", "\x00n1", "\x00sx", "1", "True"]),
)


@pytest.mark.parametrize(("text", "value", "holds"), ROWS)
def test_a_comparison_holds_for_a_value_or_not(text: str, value: Any, holds: bool) -> None:
    assert predicate(comparison(text))(value) is holds


def test_a_comparison_of_no_value_holds_for_exists_false_ne_and_not_in_alone() -> None:
    holding = {text.split(":")[0] for text, yes, _ in TABLE if None in yes}

    assert holding == {"exists", "ne", "not_in"}


@given(scalars, scalars)
def test_keys_are_equal_exactly_where_the_values_are(a: Any, b: Any) -> None:
    assert (key(a) == key(b)) == (kind(a) == kind(b) and a == b)


@given(scalars)
def test_a_value_comes_back_from_its_key(value: Any) -> None:
    text = key(value)
    assert text is not None
    again = scalar(text)

    assert again == value
    assert kind(again) == kind(value)


@pytest.mark.parametrize("value", [None, [], ["x"], {}, {"a": 1}])
def test_what_is_no_scalar_has_no_key(value: Any) -> None:
    assert key(value) is None
    assert kind(value) == ""


def test_a_pattern_takes_linear_time_whatever_it_is() -> None:
    """Re2: this one would keep a backtracking engine busy for years."""
    assert not predicate(comparison("matches: '^(a+)+$'"))("a" * 5000 + "b")
