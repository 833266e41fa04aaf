"""The oracle judges at a superset of the instants that matter: judging at many more finds nothing more."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from hypothesis import given, settings

from rules.language import parse_document
from tests.oracle import Oracle
from tests.oracle.casefiles import Record
from tests.properties.stages import SHORT, Stage
from tests.properties.strategies import Play, plays
from tests.properties.streams import Kind

BRIEF = Stage("UTC", 1_767_225_600_000, ("1s", "2s"))


def between(judged: list[int]) -> Iterator[int]:
    """The middle of every gap between judged instants, and its first and last milliseconds."""
    for one, other in pairwise(judged):
        yield from (one + 1, one + 2, (one + other) // 2, other - 2, other - 1)


@settings(max_examples=60)
@given(plays())
def test_judging_in_every_gap_between_its_instants_finds_no_further_change(play: Play) -> None:
    segments = play.segments()
    sparse = Oracle(segments)
    found = sparse.run(play.log, play.until)
    judged = sorted({ms for customer in sparse.customers.values() for ms in customer.judged} | {play.until})

    assert Oracle(segments, extra=between(judged)).run(play.log, play.until) == found


@settings(max_examples=25)
@given(plays(Kind(most=4), (BRIEF,)))
def test_judging_every_millisecond_of_two_seconds_finds_no_further_change(play: Play) -> None:
    segments = play.segments()
    found = Oracle(segments).run(play.log, play.until)
    start = BRIEF.base

    assert Oracle(segments, extra=range(start, start + 2010)).run(play.log, play.until) == found


def test_a_missing_instant_would_be_noticed() -> None:
    """The two tests above can fail: an oracle without its instants misses the end of the window."""
    segment = parse_document({"id": "a", "enter": {"event": "purchase", "within": SHORT[0]}})
    oracle = Oracle([segment])
    oracle.instants.durations = set()
    log = [(Record("purchase", "ana", 0), None)]
    assert [change.what for change in oracle.run(log, 5000).transitions] == ["entered"]
    oracle.extra = list(range(1, 5000))
    assert [(change.what, change.time) for change in oracle.run(log, 5000).transitions][1:] == [("exited", 1000)]
