"""What only shows when documents are seen together."""

from __future__ import annotations

from rules.language import check_set, parse_document, references
from rules.language.documents import Segment


def segments(**depends_on: str) -> dict[str, Segment]:
    """Documents by id; each names the segments it depends on, divided by blanks."""
    made = {}
    for name, others in depends_on.items():
        of = [{"tag": "x"}, *({"not": {"segment": other}} for other in others.split())]
        made[name] = parse_document({"id": name, "enter": {"any": of}})
    return made


def told(**depends_on: str) -> list[str]:
    return [str(mistake) for mistake in check_set(segments(**depends_on))]


def test_segments_may_depend_on_each_other_in_one_direction() -> None:
    assert told(a="b c", b="c", c="", d="a") == []


def test_a_segment_that_does_not_exist_is_told_where_it_is_named() -> None:
    assert told(buyers="", a="byers nobody") == [
        "a: enter.any[1].not: no such segment `byers`; did you mean `buyers`?",
        "a: enter.any[2].not: no such segment `nobody`: define it first",
    ]


def test_a_ring_is_told_once_and_named() -> None:
    assert told(c="a", a="b", b="c", d="a") == [
        "a: enter.any[1].not: segments depend on each other in a ring (a -> b -> c -> a): break it at one of them"
    ]


def test_two_rings_are_two_mistakes_even_where_one_leads_to_the_other() -> None:
    assert told(a="b", b="a c", c="d", d="c", e="c") == [
        "a: enter.any[1].not: segments depend on each other in a ring (a -> b -> a): break it at one of them",
        "c: enter.any[1].not: segments depend on each other in a ring (c -> d -> c): break it at one of them",
    ]


def test_rings_that_share_a_segment_are_told_once_until_it_is_mended() -> None:
    assert len(told(a="b", b="a c", c="b")) == 1


def test_a_ring_through_exit_is_a_ring() -> None:
    first = parse_document({"id": "a", "enter": {"tag": "x"}, "exit": {"segment": "b", "for": "7d"}})
    second = parse_document({"id": "b", "enter": {"all": [{"tag": "x"}, {"segment": "a"}]}})
    assert [(found.document, found.at) for found in check_set({"a": first, "b": second})] == [("a", "exit")]


def test_there_is_a_limit_of_segments_which_the_message_states() -> None:
    few = segments(a="", b="", c="")
    assert check_set(few, segments_max=3) == []
    assert [str(found) for found in check_set(few, segments_max=2)] == [
        "at most 2 segments can be defined, these are 3"
    ]


def test_a_thousand_segments_in_one_ring_are_one_mistake() -> None:
    ring = segments(**{f"s{n}": f"s{(n + 1) % 1000}" for n in range(1000)})
    assert len(check_set(ring)) == 1


def test_a_thousand_segments_in_one_chain_are_none() -> None:
    chain = segments(**{f"s{n}": f"s{n + 1}" if n < 999 else "" for n in range(1000)})
    assert check_set(chain) == []


def test_references_stand_in_the_order_of_the_document() -> None:
    raw = {
        "id": "a",
        "enter": {"at_least": {"n": 1, "of": [{"segment": "z"}, {"none": [{"segment": "y"}]}]}},
        "exit": {"segment": "x"},
    }
    assert [(node.segment, node.at) for node in references(parse_document(raw))] == [
        ("z", "enter.at_least.of[0]"),
        ("y", "enter.at_least.of[1].none[0]"),
        ("x", "exit"),
    ]
