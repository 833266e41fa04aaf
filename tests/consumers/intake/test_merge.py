"""Of all that is at hand the oldest goes first, and nothing is overtaken by what is an hour younger."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from consumers.intake.merge import Merge
from consumers.intake.port import Place, Polled, SourceRecord
from consumers.intake.settings import IntakeSettings

A, B = Place("a", 0), Place("b", 0)


def records(place: Place, *times: int, first: int = 0, size: int = 1) -> list[SourceRecord]:
    return [SourceRecord(*place, first + n, ms, None, b"x" * size) for n, ms in enumerate(times)]


def polled(
    found: dict[Place, list[SourceRecord]],
    behind: dict[Place, int],
    assigned: dict[Place, int] | None = None,
) -> Polled:
    return Polled(assigned or {A: 1, B: 1}, found, behind)


def times(taken: Sequence[SourceRecord]) -> list[int]:
    return [record.timestamp_ms for record in taken]


def test_the_oldest_of_all_heads_goes_first_and_each_partition_keeps_its_own_order() -> None:
    merge = Merge(IntakeSettings())
    merge.update(polled({A: records(A, 10, 30, 20, 50), B: records(B, 15, 25)}, {A: 0, B: 0}))
    taken, _ = merge.take(0.0)
    assert times(taken) == [10, 15, 25, 30, 20, 50]
    assert [record.offset for record in taken if record.topic == "a"] == [0, 1, 2, 3]


def test_records_of_one_time_go_in_the_order_of_their_topics() -> None:
    merge = Merge(IntakeSettings())
    merge.update(polled({B: records(B, 5, 5), A: records(A, 5, 5)}, {A: 0, B: 0}))
    taken, _ = merge.take(0.0)
    assert "".join(record.topic for record in taken) == "aabb"


def test_nothing_goes_past_a_partition_of_which_nothing_is_at_hand_and_more_is_known_to_be() -> None:
    merge = Merge(IntakeSettings())
    merge.update(polled({A: records(A, 100)}, {A: 0, B: 7}))
    assert merge.take(0.0) == ([], [])
    assert merge.wanted() == [A, B]
    merge.update(polled({B: records(B, 50)}, {A: 0, B: 6}))
    taken, _ = merge.take(0.0)
    assert times(taken) == [50]  # then it is waited for again


def test_nothing_goes_past_a_partition_whose_end_is_not_known() -> None:
    merge = Merge(IntakeSettings())
    merge.update(polled({A: records(A, 100)}, {A: 0}))
    assert merge.take(0.0) == ([], [])
    merge.update(polled({}, {A: 0, B: 0}))
    taken, _ = merge.take(0.0)
    assert times(taken) == [100]


def test_a_partition_that_brings_nothing_is_waited_for_so_long_and_told_once() -> None:
    merge = Merge(IntakeSettings(wait_s=10.0))
    merge.update(polled({A: records(A, 100, 200)}, {A: 0, B: 7}))
    assert merge.take(0.0) == ([], [])
    assert merge.take(9.9) == ([], [])
    taken, given_up = merge.take(10.0)
    assert (times(taken), given_up) == ([100, 200], [B])
    merge.update(polled({A: records(A, 300)}, {A: 0, B: 7}))
    taken, given_up = merge.take(10.1)
    assert (times(taken), given_up) == ([300], [])


def test_one_that_was_given_up_is_waited_for_again_once_it_has_brought_something() -> None:
    merge = Merge(IntakeSettings(wait_s=10.0))
    merge.update(polled({A: records(A, 100)}, {A: 5, B: 7}))
    merge.take(0.0)
    assert merge.take(10.0)[1] == [B]
    merge.update(polled({A: records(A, 200), B: records(B, 50)}, {A: 0, B: 6}))
    taken, _ = merge.take(10.2)
    assert times(taken) == [50]
    assert merge.take(10.3) == ([], [])


@pytest.mark.parametrize("assigned", [{A: 2, B: 1}, {B: 1}])
def test_what_is_held_of_a_partition_that_went_or_came_anew_is_dropped(assigned: dict[Place, int]) -> None:
    merge = Merge(IntakeSettings())
    merge.update(polled({A: records(A, 10, 20), B: records(B, 15)}, {A: 0, B: 0}))
    merge.update(polled({}, dict.fromkeys(assigned, 0), assigned))
    taken, _ = merge.take(0.0)
    assert times(taken) == [15]


def test_a_batch_has_at_most_so_many_records_and_bytes() -> None:
    few = Merge(IntakeSettings(batch_records_max=2))
    few.update(polled({A: records(A, 1, 2, 3)}, {A: 0, B: 0}))
    assert [times(few.take(0.0)[0]) for _ in range(3)] == [[1, 2], [3], []]
    small = Merge(IntakeSettings(batch_bytes_max=1_500))
    small.update(polled({A: records(A, 1, 2, 3, size=1_000)}, {A: 0, B: 0}))
    assert [times(small.take(0.0)[0]) for _ in range(2)] == [[1, 2], [3]]


def test_more_is_read_only_of_partitions_of_which_little_is_held() -> None:
    merge = Merge(IntakeSettings(held_records_min=2))
    merge.update(polled({A: records(A, 1, 2), B: records(B, 3)}, {A: 9, B: 9}))
    assert merge.wanted() == [B]
    full = Merge(IntakeSettings(held_records_min=2, held_bytes_max=1_000))
    full.update(polled({B: records(B, 3, size=2_000)}, {A: 9, B: 9}))
    assert full.wanted() == [A]  # one that holds nothing is read however full it is, or all would stand still


def test_what_is_behind_counts_what_is_held() -> None:
    merge = Merge(IntakeSettings())
    merge.update(polled({A: records(A, 7, 8, 9)}, {A: 4}))
    assert (merge.behind(A), merge.oldest_ms(A), merge.behind(B), merge.oldest_ms(B)) == (7, 7, None, None)
