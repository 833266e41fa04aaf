"""Partitions are shared evenly, everybody keeps what can be kept, and who was away does not take back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from consumers.log.kafka.assigning import Assignor, Claim, share_out


class Cluster:
    def __init__(self, partitions: int) -> None:
        self._partitions = partitions

    def partitions_for_topic(self, topic: str) -> set[int]:
        return set(range(self._partitions))


def rebalance(members: dict[str, Assignor], partitions: int) -> dict[str, set[int]]:
    """What the group does: all say what they claim, one answers, each is told."""
    said = {member: assignor.metadata(["events"]) for member, assignor in members.items()}
    answers = next(iter(members.values())).assign(Cluster(partitions), said)
    for member, assignor in members.items():
        assignor.on_assignment(answers[member])
    return {member: {each.partition for each in answers[member].partitions()} for member in members}


claims = st.dictionaries(
    st.sampled_from("abcdef"),
    st.builds(Claim, st.integers(0, 5), st.lists(st.integers(0, 20), max_size=20).map(tuple)),
    min_size=1,
)


@given(st.integers(1, 20), claims)
def test_every_partition_has_one_owner_and_sizes_differ_by_at_most_one(
    partitions: int, claimed: dict[str, Claim]
) -> None:
    shares = share_out(partitions, claimed)
    assert shares.keys() == claimed.keys()
    assert sorted(partition for mine in shares.values() for partition in mine) == list(range(partitions))
    sizes = {len(mine) for mine in shares.values()}
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(1, 20), claims)
def test_shared_out_again_nothing_moves(partitions: int, claimed: dict[str, Claim]) -> None:
    shares = share_out(partitions, claimed)
    assert share_out(partitions, {member: Claim(9, tuple(mine)) for member, mine in shares.items()}) == shares


def test_who_joins_gets_only_what_it_must_and_who_leaves_is_shared_by_the_rest() -> None:
    members = {"a": Assignor(), "b": Assignor()}
    two = rebalance(members, 6)
    three = rebalance(members | {"c": Assignor()}, 6)
    assert {len(mine) for mine in three.values()} == {2}
    assert three["a"] < two["a"]
    assert three["b"] < two["b"]
    rest = rebalance(members, 6)
    assert rest["a"] > three["a"]
    assert rest["b"] > three["b"]


def test_who_was_away_does_not_take_back_what_another_has_by_now() -> None:
    away, stays = Assignor(), Assignor()
    before = rebalance({"away": away, "stays": stays}, 4)
    alone = rebalance({"stays": stays}, 4)
    assert alone["stays"] == {0, 1, 2, 3}
    back = rebalance({"away": away, "stays": stays}, 4)
    assert len(back["stays"]) == len(back["away"]) == 2
    third = rebalance({"third": Assignor(), "stays": stays}, 4)
    again = rebalance({"away": away, "stays": stays, "third": Assignor()}, 4)
    assert third["stays"] >= again["stays"]  # not what the one that was away still claims from before
    assert before["away"] | before["stays"] == {0, 1, 2, 3}


def test_more_members_than_partitions_leave_some_with_none() -> None:
    shares = rebalance({name: Assignor() for name in "abc"}, 2)
    assert sorted(len(mine) for mine in shares.values()) == [0, 1, 1]


def test_a_member_that_says_something_else_claims_nothing() -> None:
    members = {"a": Assignor(), "b": Assignor()}
    rebalance(members, 4)
    said = {member: assignor.metadata(["events"]) for member, assignor in members.items()}
    said["b"].user_data = b"\xc1 not ours"
    answers = members["a"].assign(Cluster(4), said)
    assert len(answers["b"].partitions()) == 2
