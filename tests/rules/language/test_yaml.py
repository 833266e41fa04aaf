"""Texts as they are written, and the values they mean: YAML 1.2 core, JSON, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rules import limits
from rules.errors import SegmentInvalid
from rules.language import load_json, load_yaml, load_yaml_all

PLAIN: list[tuple[str, Any]] = [
    ("no", "no"), ("on", "on"), ("yes", "yes"), ("Off", "Off"), ("y", "y"),
    ("true", True), ("True", True), ("TRUE", True), ("tRUE", "tRUE"), ("false", False), ("FALSE", False),
    ("null", None), ("Null", None), ("~", None), ("", None), ("none", "none"),
    ("12", 12), ("+12", 12), ("-0", 0), ("007", 7), ("0o17", 15), ("0x1F", 31), ("0b1", "0b1"), ("1_000", "1_000"),
    ("-0x1F", "-0x1F"), ("0o8", "0o8"), ("12e", "12e"), ("1:30", "1:30"), ("190:20:30", "190:20:30"),
    ("1.5", 1.5), ("1.", 1.0), (".5", 0.5), ("1e3", 1000.0), ("-1.5E-2", -0.015), (".", "."), ("-", None), ("+", "+"),
    (".inf", math.inf), ("-.INF", -math.inf), ("+.Inf", math.inf), ("inf", "inf"), ("NaN", "NaN"),
    ("2026-01-01", "2026-01-01"), ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
    ("2026-01-01 00:00:00", "2026-01-01 00:00:00"),
    ("22:00", "22:00"), ("=", "="), ("<<", "<<"),
    ('"12"', "12"), ("'true'", "true"), ('"\\u00e3"', "ã"), ("!!str 12", "12"), ("!!int '12'", 12), ("!!float 2", 2),
    ("!!bool 'true'", True), ("!!null ''", None), ("|\n  a\n  b\n", "a\nb\n"), (">-\n  a\n  b\n", "a b"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "meant"), PLAIN)
def test_a_plain_text_means_what_the_core_schema_says(written: str, meant: Any) -> None:
    found = load_yaml(f"key: {written}" if written != "-" else "key:\n  -")["key"]
    if written == "-":
        assert found == [None]
    else:
        assert (type(found), found) == (type(meant), meant)


def test_not_a_number_is_read_as_such_and_refused_where_a_number_is_asked() -> None:
    assert math.isnan(load_yaml("a: .nan")["a"])


def test_keys_are_text_as_written() -> None:
    assert load_yaml("{1: a, true: b, ~: c, on: d, 007: e}") == {"1": "a", "true": "b", "~": "c", "on": "d", "007": "e"}


def test_a_merge_key_is_a_key_like_any_other() -> None:
    assert load_yaml("a: &x {b: 1}\nc: {<<: *x}") == {"a": {"b": 1}, "c": {"<<": {"b": 1}}}


def test_anchors_and_aliases_stand_for_the_same_value() -> None:
    assert load_yaml("a: &x [1, 2]\nb: *x\nc: {d: &y z, e: *y}") == {
        "a": [1, 2],
        "b": [1, 2],
        "c": {"d": "z", "e": "z"},
    }


def test_json_is_yaml_with_tabs_escapes_and_surrogate_pairs() -> None:
    assert load_yaml('{\n\t"a": "\\ud83d\\ude00", "b": "\\/", "c": [1e2, true, null]}') == {
        "a": "😀", "b": "/", "c": [100.0, True, None],
    }  # fmt: skip


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert load_yaml(b"\xef\xbb\xbfa: 1") == {"a": 1}


def test_a_text_may_hold_no_document_or_only_comments() -> None:
    assert load_yaml("") is None
    assert load_yaml("# nothing yet\n") is None
    assert load_yaml_all("") == []


def test_several_documents_are_read_in_order() -> None:
    assert load_yaml_all("%YAML 1.2\n---\na: 1\n---\nb: 2\n...\n---\n") == [{"a": 1}, {"b": 2}, None]


def test_an_anchor_ends_with_its_document() -> None:
    with pytest.raises(SegmentInvalid, match="the alias `\\*x` has no anchor before it"):
        load_yaml_all("a: &x 1\n---\nb: *x\n")


def laughs() -> str:
    """Ten anchors, each nine times the one before: 9**9 values if they were written out."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    return "\n".join(lines)


REFUSED: list[tuple[str | bytes, str]] = [
    ("a: *nobody", "a: line 1, column 4: the alias `*nobody` has no anchor before it"),
    ("a: &x [*x]", "a[0]: line 1, column 8: the alias `*x` has no anchor before it"),
    ("a: 1\nb: 2\na: 3", "a: line 3, column 1: the key `a` stands twice in one mapping: keep one"),
    ("enter:\n  all:\n    - {tag: x, tag: y}",
     "enter.all[0].tag: line 3, column 16: the key `tag` stands twice in one mapping: keep one"),
    ("{1: a, '1': b}", "1: line 1, column 8: the key `1` stands twice in one mapping: keep one"),
    ("a: 1\na: 2\nb: {c: 1, c: 2}",
     "a: line 2, column 1: the key `a` stands twice in one mapping: keep one\n"
     "b.c: line 3, column 11: the key `c` stands twice in one mapping: keep one"),
    ("? [a, b]\n: c", "line 1, column 3: a key must be plain text"),
    ("a: !!python/object/apply:os.system [ls]",
     "a: line 1, column 4: the tag `tag:yaml.org,2002:python/object/apply:os.system` is not known here: leave it out"),
    ("a: !money 5", "a: line 1, column 4: the tag `!money` does not fit here: leave it out"),
    ("a: !!int x", "a: line 1, column 4: the tag `tag:yaml.org,2002:int` does not fit here: leave it out"),
    ("a: !!timestamp 2026-01-01",
     "a: line 1, column 4: the tag `tag:yaml.org,2002:timestamp` does not fit here: leave it out"),
    ("a: 1\n---\nb: 2", "one document is expected here, these are 2"),
    (b"a: \xff", "this is no UTF-8: byte 3 is wrong"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "told"), REFUSED)
def test_a_text_that_cannot_be_read_is_refused_with_line_and_column(written: str | bytes, told: str) -> None:
    with pytest.raises(SegmentInvalid) as caught:
        load_yaml(written)
    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ("a: [1, 2", 2),
        ("a: 'x", 1),
        ("a: 1\n\tb: 2", 2),
        ("a: 1\n b: 2", 2),
        ("a: b: c", 1),
        ("a\nb: 1\n", 2),
        ("*", 1),
    ],
)
def test_what_is_no_yaml_is_refused_with_its_line(written: str, line: int) -> None:
    with pytest.raises(SegmentInvalid, match=rf"^line {line}, column [0-9]+: this is no YAML: \w+"):
        load_yaml(written)


@pytest.mark.parametrize("written", ["a: \x00", "a: \ud83d", "a: \x07"])
def test_characters_that_no_yaml_may_hold_are_refused(written: str) -> None:
    with pytest.raises(SegmentInvalid, match=r"^this is no YAML: "):
        load_yaml(written)


def test_aliases_cannot_multiply_a_small_text_into_a_large_one() -> None:
    with pytest.raises(SegmentInvalid, match="stands for more than 500,000 values"):
        load_yaml(laughs())


@pytest.mark.parametrize("opening", ["[", "- ", "{a: ", '{"a":'])
def test_nesting_has_an_end_however_long_the_text(opening: str) -> None:
    with pytest.raises(SegmentInvalid, match="is nested deeper than 100 levels"):
        load_yaml(opening * 50_000)


def test_nesting_up_to_the_limit_is_read() -> None:
    found = load_yaml("a: " + "[" * 99 + "]" * 99)["a"]
    for _ in range(98):
        found = found[0]
    assert found == []


def test_a_text_has_a_size_limit() -> None:
    with pytest.raises(SegmentInvalid, match="the text may be at most 1,048,576 bytes, this one has 1,048,577"):
        load_yaml("#" * (limits.DOCUMENT_BYTES_MAX + 1))
    assert load_yaml(b"a: 1" + b" " * 100, bytes_max=104) == {"a": 1}
    with pytest.raises(SegmentInvalid):
        load_yaml(b"a: 1" + b" " * 100, bytes_max=103)


def test_a_number_of_a_million_digits_costs_nothing() -> None:
    assert load_yaml("a: " + "9" * 1_000_000) == {"a": math.inf}


JSON_REFUSED = [
    ('{"a": }', "line 1, column 7: this is no JSON: Expecting value"),
    ('{"a": 1, "a": 2}', "the key `a` stands twice in one object"),
    ('{"a": NaN}', "NaN is no number in JSON"),
    ("[-Infinity]", "-Infinity is no number in JSON"),
    ("", "line 1, column 1: this is no JSON: Expecting value"),
    ("[" * 150 + "]" * 150, "is nested deeper than 100 levels"),
    ("[" * 100_000, "is nested deeper than 100 levels"),
    ("1" * 500, "a number may have at most 400 digits"),
]


@pytest.mark.parametrize(("written", "told"), JSON_REFUSED)
def test_json_is_read_strictly(written: str, told: str) -> None:
    with pytest.raises(SegmentInvalid) as caught:
        load_json(written)
    assert str(caught.value) == told


def test_json_is_read() -> None:
    assert load_json(b'{"id": "a", "enter": {"tag": "x"}}') == {"id": "a", "enter": {"tag": "x"}}
