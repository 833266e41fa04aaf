"""The library: every segment is right, has cases beside it that pass, says where it comes from, and plays the shop."""

from __future__ import annotations

from pathlib import Path

import pytest

from rules.language import sentence
from rules.plan import compile_plan
from rules.play import Partition
from rules.transitions import Transition
from service.cli.files import good_segments, is_cases, segments_alone
from service.cli.test import outcomes_of
from service.replay.player import play
from service.replay.recordings import open_recording
from service.sample import excerpt_path, sample_segments

LIBRARY = Path(__file__).parents[2] / "rules" / "library"
SEGMENTS = sorted(path for path in LIBRARY.glob("*.yaml") if not is_cases(path))


def test_the_library_is_right_as_a_whole() -> None:
    assert len(good_segments([LIBRARY])) == len(SEGMENTS) >= 40


@pytest.mark.parametrize("path", SEGMENTS, ids=lambda path: path.stem)
def test_a_library_segment_keeps_its_cases(path: Path) -> None:
    outcomes = outcomes_of(path.with_name(f"{path.stem}.cases.yaml"))
    assert {outcome.case.name: outcome.difference for outcome in outcomes if not outcome.passed} == {}
    told = {change.segment for outcome in outcomes for change in outcome.case.expect}
    assert path.stem in told, "no case lets anybody in"


@pytest.mark.parametrize("path", SEGMENTS, ids=lambda path: path.stem)
def test_a_library_segment_has_its_files_name_and_says_which_example_it_is(path: Path) -> None:
    [file] = segments_alone([path])
    assert file.segment.id == path.stem
    assert file.segment.name
    assert file.text.startswith(("# Example", "# Condition", "# Criterion"))
    assert sentence(file.segment)


def test_cases_that_depend_on_the_clock_alone_are_many() -> None:
    outcomes = [outcome for path in SEGMENTS for outcome in outcomes_of(path.with_name(f"{path.stem}.cases.yaml"))]
    by_clock = [each for each in outcomes if any(change.cause == "clock" for change in each.case.expect)]
    assert len(by_clock) >= 30


def test_the_sample_shops_segments_are_right() -> None:
    assert len(good_segments(sample_segments())) >= 10


def test_the_shipped_data_plays_through_the_whole_library() -> None:
    plan = compile_plan([file.definition for file in good_segments([LIBRARY])])
    partition = Partition(plan)
    sequences: dict[tuple[str, str], int] = {}

    def check(change: Transition) -> None:
        key = (change.segment, change.customer_id)
        sequences[key] = sequences.get(key, 0) + 1
        assert change.sequence == sequences[key]

    with open_recording(excerpt_path()) as recording:
        played = play(recording, "shop", partition, None, check, lambda _: None)
    assert (played.events, played.bad_total) == (4444, 0)
    assert len(partition.profiles) == 951
    present = {(segment, customer) for customer, segment, _ in partition.memberships()}
    assert present == {key for key, sequence in sequences.items() if sequence % 2}
    spend = [f"spend-{tier}" for tier in ("below-100", "100", "500", "1000")]
    tiers = [customer for segment, customer in present if segment in spend]
    assert len(tiers) == len(set(tiers)), "nobody is in two spend tiers"
