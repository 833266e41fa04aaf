"""An evaluator on a cluster: those of its tests that take over and lose answers."""

from __future__ import annotations

from tests.consumers.evaluator.test_batches import (
    test_commits_whose_answers_got_lost_count_once,
    test_every_number_and_sequence_follows_the_one_before,
    test_owners_that_take_over_in_the_middle_make_the_same,
)

__all__ = [
    "test_commits_whose_answers_got_lost_count_once",
    "test_every_number_and_sequence_follows_the_one_before",
    "test_owners_that_take_over_in_the_middle_make_the_same",
]
