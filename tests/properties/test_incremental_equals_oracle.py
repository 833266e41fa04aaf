"""The main property: for every document and every log, the evaluator says what judging by definition says.

`make test-long` tries 20,000 random worlds, in chunks that each have a seed: a chunk that fails fails again alone
(`pytest -m long tests/properties -k chunk-7`). `SEGMENTD_CHUNKS` asks for another number of chunks of 1,000.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import Phase, given, seed, settings

from rules.play import Partition
from tests.oracle import Oracle
from tests.properties.incremental import planned, run
from tests.properties.strategies import Play, plays

CHUNKS = int(os.environ.get("SEGMENTD_CHUNKS", "20"))


def the_evaluator_agrees(play: Play) -> None:
    assert run(Partition(planned(play)), play.log, play.until) == Oracle(play.segments()).run(play.log, play.until)


@settings(max_examples=300)
@given(plays())
def test_the_evaluator_says_what_judging_by_definition_says(play: Play) -> None:
    the_evaluator_agrees(play)


@pytest.mark.long
@pytest.mark.parametrize("chunk", [pytest.param(number, id=f"chunk-{number}") for number in range(CHUNKS)])
def test_the_evaluator_says_so_of_a_thousand_more_random_worlds(chunk: int) -> None:
    @seed(chunk)
    @settings(max_examples=1000, database=None, phases=(Phase.generate, Phase.shrink))
    @given(plays())
    def a_thousand(play: Play) -> None:
        the_evaluator_agrees(play)

    a_thousand()
