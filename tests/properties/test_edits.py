"""Edits in the middle of a log: everyone is judged once, at the record, over all that was ever read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties.chooser import Drawn, Seeded
from tests.properties.edits import Story, story, told


@st.composite
def stories(draw: st.DrawFn) -> Story:
    return story(Drawn(draw))


@given(stories())
def test_an_edited_segment_goes_on_as_judging_by_definition_says(world: Story) -> None:
    evaluator, oracle = told(world)
    assert evaluator == oracle


@pytest.mark.long
@pytest.mark.parametrize("chunk", [pytest.param(number, id=f"chunk-{number}") for number in range(4)])
def test_so_it_does_in_a_thousand_more_stories(chunk: int) -> None:
    for seed in range(chunk * 1000, chunk * 1000 + 1000):
        evaluator, oracle = told(story(Seeded(seed)))
        assert evaluator == oracle, f"seed {seed}"
