"""What waits of one partition, without servers."""

from __future__ import annotations

import pytest

from consumers.relay.headers import NOWHERE, decode, encode, read_note, write_note
from consumers.relay.line import Line
from consumers.relay.port import Outgoing, Place
from consumers.state.commit import Meta, OutboxEntry
from consumers.state.relaying import Holder
from tests.consumers.relay.worlds import names, transition

MANY = 1_000_000


def a_line() -> Line:
    line = Line(0, Holder(1, "a"), Meta())
    line.resume(NOWHERE, 0)
    return line


def entry(first_number: int, *said: str) -> OutboxEntry:
    return OutboxEntry(first_number, 0, [transition(name) for name in said])


def publish_all(line: Line, transitions_max: int = MANY, bytes_max: int = MANY) -> list[str]:
    said = []
    while line.held:
        cut = line.cut(transitions_max, bytes_max)
        said += names([each.value for each in cut.outgoing])
        line.advance(cut, 0.0)
    return said


def test_once_something_is_only_in_the_outbox_all_that_follows_is_read_from_there_in_order() -> None:
    line = a_line()
    line.offer(1, 10, [transition("ana")], room=True)
    line.offer(2, 11, [transition("bo"), transition("cy")], room=False)
    line.offer(3, 12, [transition("dee")], room=True)  # there is room, but `bo` comes first
    assert (line.held, line.backlog, line.wants_reading) == (1, 4, False)
    assert publish_all(line) == ["ana"]
    assert (line.wants_reading, line.first_wanted) == (True, 2)
    assert line.read([(2, entry(2, "bo", "cy"))], asked=1, last=3) == 0
    line.offer(4, 13, [transition("ed")], room=True)  # while commit 3 is still not read
    assert publish_all(line) == ["bo", "cy"]
    assert line.read([(3, entry(4, "dee")), (4, entry(5, "ed"))], asked=10, last=4) == 0
    line.offer(5, 14, [transition("flo")], room=True)
    assert publish_all(line) == ["dee", "ed", "flo"]
    assert (line.backlog, line.place) == (0, Place(5, 0, 14, 6))


def test_a_commit_that_was_half_published_goes_on_in_its_midst() -> None:
    line = Line(0, Holder(1, "a"), Meta(commit=2, position=11, numbered=4))
    line.resume(Place(1, 0, 10, 7), 1)
    assert line.read([(1, entry(1, "ana", "bo")), (2, entry(3, "cy", "dee"))], asked=10, last=2) == 0
    cut = line.cut(MANY, MANY)
    assert names([each.value for each in cut.outgoing]) == ["bo", "cy", "dee"]
    assert [each.place[:2] + each.place[3:] for each in cut.outgoing] == [(1, 1, 8), (2, 0, 9), (2, 1, 10)]


@pytest.mark.parametrize(("transitions_max", "bytes_max"), [(1, MANY), (2, MANY), (MANY, 1), (MANY, 100), (MANY, MANY)])
def test_however_it_is_cut_the_same_goes_out(transitions_max: int, bytes_max: int) -> None:
    line = a_line()
    line.offer(1, 0, [transition("ana"), transition("bo"), transition("cy")], room=True)
    line.offer(2, 1, [], room=True)
    line.offer(3, 2, [transition("dee")], room=True)
    assert publish_all(line, transitions_max, bytes_max) == ["ana", "bo", "cy", "dee"]


def test_what_is_left_out_gets_no_number_and_what_was_dropped_comes_before_anything_new() -> None:
    line = a_line()
    line.lost, line.skips = frozenset({"vip:bo:1"}), 1
    line.offer(1, 0, [transition(name) for name in ("bo", "ana", "cy", "dee")], room=True)
    cut = line.cut(MANY, MANY)
    assert names([each.value for each in cut.outgoing]) == ["cy", "dee"]
    assert [each.place.number for each in cut.outgoing] == [1, 2]
    assert (cut.handled, cut.skips, cut.place) == (4, 0, Place(1, 3, 0, 2))


def test_transitions_that_the_outbox_let_go_of_are_counted() -> None:
    line = Line(0, Holder(1, "a"), Meta(commit=3, position=3, numbered=6))
    line.resume(NOWHERE, 0)
    assert line.read([(3, entry(5, "ed", "flo"))], asked=10, last=3) == 4
    assert (line.backlog, publish_all(line)) == (2, ["ed", "flo"])


def test_a_place_survives_headers_and_notes() -> None:
    place = Place(commit=12, nth=3, position=-1, number=99)
    assert decode(encode(Outgoing(b"ana", b"{}", place))) == place
    assert read_note(write_note(place, 7)) == (place, 7)
    assert read_note("") == (NOWHERE, 0)
    for headers in ([], [("segmentd-number", b"1")], [("segmentd-number", b"1"), ("segmentd-commit", b"1:2")]):
        with pytest.raises(ValueError, match="not written by a relay"):
            decode(headers)
