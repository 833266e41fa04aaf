"""The simulation bites: mistakes are planted in the code, one at a time, and each is found within 300 seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import pytest

from consumers.evaluator.collecting import Collecting
from consumers.evaluator.draft import Draft
from consumers.evaluator.owned import Owned
from consumers.evaluator.partition import Partition
from consumers.evaluator.ticks import Ticks
from consumers.intake.intake import Intake
from consumers.intake.port import Place as SourcePlace
from consumers.intake.port import SourceRecord
from consumers.relay import takeover
from consumers.relay.port import Place, Published
from consumers.state.commit import Commit, Committed, Timers
from rules.errors import Unavailable
from tests.simulation import service
from tests.simulation.run import simulate
from tests.simulation.server import Edit, Server
from tests.simulation.topic import SimOutlet

SEEDS = 300

Plant = Callable[[pytest.MonkeyPatch], Edit | None]


def found_at(server: Server, edit: Edit | None) -> int | None:
    """The first seed that finds something."""
    return next((seed for seed in range(SEEDS) if simulate(seed, server, edit=edit).problem), None)


def without(script: str, line: bytes) -> Edit:
    """The script, but for the lines that begin so."""

    def edit(name: str, source: bytes) -> bytes:
        if name != script:
            return source
        lines = source.split(b"\n")
        kept = [each for each in lines if not each.startswith(line)]
        assert len(kept) < len(lines), f"{script}.lua has no line {line.decode()}"
        return b"\n".join(kept)

    return edit


def the_position_goes_ahead_of_the_profiles(patch: pytest.MonkeyPatch) -> Edit | None:
    """Two commits, the position in the first: as if they were two writes."""
    apply = Owned._apply

    async def twice(self: Owned, commit: Commit) -> Committed:
        empty = Draft().commit(self.meta, None, commit.edition)
        empty.position, empty.clock, empty.cursor = commit.position, commit.clock, commit.cursor
        await apply(self, empty)
        commit.commit += 1
        return await apply(self, commit)

    patch.setattr(Owned, "_apply", twice)
    return None


def the_epoch_is_not_fenced(patch: pytest.MonkeyPatch) -> Edit | None:
    return without("commit", b"if epoch ~= c.epoch")


def a_commit_is_not_asked_for_its_number(patch: pytest.MonkeyPatch) -> Edit | None:
    return without("commit", b"if commit ~= c.expects")


def a_retry_is_a_new_commit(patch: pytest.MonkeyPatch) -> Edit | None:
    """An answer that got lost: what may stand is written again, as the next commit."""
    apply = Owned._apply

    async def again(self: Owned, commit: Commit) -> Committed:
        try:
            return await apply(self, commit)
        except Unavailable:
            commit.commit += 1
            commit.numbered += len(commit.transitions)
            return await apply(self, commit)

    patch.setattr(Owned, "_apply", again)
    patch.setattr("consumers.evaluator.owned._COMMIT_PAUSES_S", ())
    return None


def a_rolled_back_store_publishes_again(patch: pytest.MonkeyPatch) -> Edit | None:
    async def nothing(self: SimOutlet, partition: int, after_commit: int) -> dict[str, Published]:
        return {}

    patch.setattr(SimOutlet, "published", nothing)
    return None


def a_tick_counts_before_the_log_has_it(patch: pytest.MonkeyPatch) -> Edit | None:
    write = Ticks.write

    async def early(self: Ticks, partitions: Iterable[Partition], active: set[int]) -> None:
        here = list(partitions)
        for partition in self._wanting(here, active):
            partition._owned.meta.clock = max(partition.clock, self.now_ms())
        await write(self, here, active)

    patch.setattr(Ticks, "write", early)
    return None


def timers_are_forgotten_when_a_partition_is_taken_over(patch: pytest.MonkeyPatch) -> Edit | None:
    load = Owned.load

    async def forgetful(self: Owned) -> None:
        await load(self)
        self.nearest = Timers()

    patch.setattr(Owned, "load", forgetful)
    return None


def the_relay_goes_on_where_its_note_says(patch: pytest.MonkeyPatch) -> Edit | None:
    """... and not where the topic ends."""

    def noted_place(partition: int, tail: Place | None, noted: Place) -> Place:
        return noted

    patch.setattr(takeover, "_resume_place", noted_place)
    return None


def former_owners_are_not_fenced(patch: pytest.MonkeyPatch) -> Edit | None:
    """... who take their time to publish (with which nothing is wrong), so that they often have something in hand."""
    patch.setattr(service, "RELAY_SETTINGS", msgspec.structs.replace(service.RELAY_SETTINGS, gather_ms=2_000))

    async def polite(self: SimOutlet, name: str) -> None: ...

    patch.setattr(SimOutlet, "fence", polite)
    return None


def a_collection_begins_anew_after_a_crash(patch: pytest.MonkeyPatch) -> Edit | None:
    """Who was merged before it is merged again."""
    begin = Collecting.__init__

    def anew(self: Collecting, *arguments: Any) -> None:
        begin(self, *arguments)
        self.cursor = ""

    patch.setattr(Collecting, "__init__", anew)
    return None


def a_source_is_committed_before_the_log_has_its_records(patch: pytest.MonkeyPatch) -> Edit | None:
    deliver = Intake._deliver

    async def early(self: Intake, records: Sequence[SourceRecord]) -> None:
        behind: Mapping[SourcePlace, int] = {
            SourcePlace(record.topic, record.partition): record.offset + 1 for record in records
        }
        await self._reader.commit(behind)
        await deliver(self, records)

    patch.setattr(Intake, "_deliver", early)
    return None


PLANTS: list[Plant] = [
    the_position_goes_ahead_of_the_profiles,
    the_epoch_is_not_fenced,
    a_commit_is_not_asked_for_its_number,
    a_retry_is_a_new_commit,
    a_rolled_back_store_publishes_again,
    a_tick_counts_before_the_log_has_it,
    timers_are_forgotten_when_a_partition_is_taken_over,
    the_relay_goes_on_where_its_note_says,
    former_owners_are_not_fenced,
    a_collection_begins_anew_after_a_crash,
    a_source_is_committed_before_the_log_has_its_records,
]


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_mistake_is_found(server: Server, monkeypatch: pytest.MonkeyPatch, plant: Plant) -> None:
    edit = plant(monkeypatch)
    assert found_at(server, edit) is not None
