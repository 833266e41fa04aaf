"""A profile is a value: written and read again anywhere it is the same, and no order of arrival shows in it."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from rules.plan import Plan
from rules.play import Partition
from rules.profile import Profile, decode, encode
from tests.properties.incremental import planned, run
from tests.properties.strategies import Play, plays
from tests.properties.streams import Kind


def written_and_read(partition: Partition) -> None:
    for customer_id, profile in partition.profiles.items():
        partition.profiles[customer_id] = decode(encode(profile))


@given(plays())
def test_writing_and_reading_every_profile_between_any_two_records_changes_nothing(play: Play) -> None:
    plan = planned(play)
    kept = run(Partition(plan), play.log, play.until)

    assert run(Partition(plan), play.log, play.until, between=written_and_read) == kept


@given(plays())
def test_a_profile_reads_back_as_it_was_written(play: Play) -> None:
    partition = Partition(planned(play))
    run(partition, play.log, play.until)

    for profile in partition.profiles.values():
        again = decode(encode(profile))
        assert plain(again) == plain(profile)
        assert encode(again) == encode(profile)


@given(plays(Kind(named=True)), st.randoms(use_true_random=False))
def test_any_order_of_arrival_of_the_same_events_ends_in_the_same_profile(play: Play, random: Any) -> None:
    """All are delivered at one instant: what is left to differ is the order alone."""
    plan = planned(play)
    shuffled = random.sample(play.log, len(play.log))
    here, there = Partition(plan), Partition(plan)
    run(here, [(event, play.until) for event, _ in play.log], play.until)
    run(there, [(event, play.until) for event, _ in shuffled], play.until)

    assert {name: collected(profile, plan) for name, profile in here.profiles.items()} == {
        name: collected(profile, plan) for name, profile in there.profiles.items()
    }


@given(plays(Kind(named=True)))
def test_the_same_events_again_change_nothing(play: Play) -> None:
    plan = planned(play)
    once = run(Partition(plan), play.log, play.until)
    twice = [record for record in play.log for _ in range(2)]

    assert run(Partition(plan), twice, play.until) == once


def plain(profile: Profile) -> Any:
    return msgspec.to_builtins(profile, str_keys=False)


def collected(profile: Profile, plan: Plan) -> dict[str, Any]:
    """What was folded into a profile, without what was announced on the way (a hold makes that depend on the order)."""
    announced = {slot.index for slots in plan.watchers.values() for slot in slots}
    overrides = {segment: record[:4] for segment, record in profile.overrides.items()}
    waiting = sorted((event.ts, event.type, event.id) for event in profile.waiting)
    return {
        "features": msgspec.to_builtins(profile.features, str_keys=False),
        "attributes": profile.attributes,
        "tags": profile.tags,
        "overrides": overrides,
        "waiting": waiting,
        "levels": {index: level for index, level in profile.levels.items() if index not in announced},
    }
