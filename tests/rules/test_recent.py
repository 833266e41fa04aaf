"""Which ids are remembered: 72 h of log time, exclusive, a customer's newest 512, in 14 bytes each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.recent import seen
from tests.rules.building import DAY, HOUR, event, plan_of, played

RECORD = 14


def after(*reads: tuple[str, int]) -> bytes:
    recent = b""
    for event_id, clock in reads:
        recent = seen(recent, "purchase", event_id, clock) or recent
    return recent


def test_an_id_is_a_duplicate_for_72_hours_exclusive() -> None:
    recent = after(("a", 0))

    assert seen(recent, "purchase", "a", 72 * HOUR - 1) is None
    assert seen(recent, "purchase", "a", 72 * HOUR) is not None


def test_the_first_reading_stands_a_duplicate_does_not_prolong_it() -> None:
    recent = after(("a", 0), ("a", 70 * HOUR))

    assert len(recent) == RECORD
    assert seen(recent, "purchase", "a", 72 * HOUR) is not None


def test_an_id_is_remembered_with_its_type() -> None:
    assert seen(after(("a", 0)), "refund", "a", 0) is not None
    assert seen(seen(b"", "ab", "c", 0) or b"", "a", "bc", 0) is not None


def test_the_512_newest_are_remembered() -> None:
    recent = after(*((f"e{n}", n) for n in range(513)))

    assert len(recent) == 512 * RECORD
    assert seen(recent, "purchase", "e1", 600) is None
    assert seen(recent, "purchase", "e512", 600) is None
    assert seen(recent, "purchase", "e0", 600) is not None


def test_what_has_expired_takes_no_room() -> None:
    recent = after(*((f"e{n}", n * HOUR) for n in range(72)))
    assert len(recent) == 72 * RECORD

    assert len(seen(recent, "purchase", "new", 72 * HOUR + 10 * HOUR) or b"") == (72 - 11 + 1) * RECORD
    assert len(seen(recent, "purchase", "new", 300 * DAY) or b"") == RECORD


def test_a_customer_whose_events_have_no_ids_remembers_none() -> None:
    partition, _ = played(plan_of("{id: a, enter: {event: purchase}}"), [event("purchase", n) for n in range(5)])

    assert partition.profiles["ana"].recent == b""


def test_clocks_before_1970_are_remembered_too() -> None:
    recent = after(("a", -(10**12)))

    assert seen(recent, "purchase", "a", -(10**12) + HOUR) is None
    assert seen(recent, "purchase", "a", -(10**12) + 72 * HOUR) is not None


reads = st.lists(st.tuples(st.sampled_from("abcdefghij"), st.integers(0, 30)), max_size=60)


@given(reads, st.integers(1, 5))
def test_it_is_what_a_list_of_readings_would_say(steps: list[tuple[str, int]], most: int) -> None:
    """Against a plain list; with a memory of a few ids, to see them pushed out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rules.recent.DEDUP_IDS_MAX", most)
        clock, recent = 0, b""
        known: list[tuple[str, int]] = []
        for event_id, hours in steps:
            clock += hours * HOUR
            known = [(name, first) for name, first in known if clock - first < 72 * HOUR]
            again = event_id in [name for name, _ in known]
            found = seen(recent, "purchase", event_id, clock)
            assert (found is None) == again
            if found is not None:
                recent = found
                known = [*known, (event_id, clock)][-most:]


@given(st.integers(-200 * DAY, 200 * DAY), st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 40 * HOUR))))
def test_whatever_the_gaps_and_before_1970_too_an_id_counts_once_in_72_hours(
    clock: int, reads: list[tuple[str, int]]
) -> None:
    recent, first = b"", dict[str, int]()
    for event_id, gap in reads:
        clock += gap
        added = seen(recent, "purchase", event_id, clock)
        assert (added is None) == (event_id in first and clock - first[event_id] < 72 * HOUR)
        if added is not None:
            recent, first[event_id] = added, clock
            assert len(recent) == RECORD * sum(1 for at in first.values() if clock - at < 72 * HOUR)
