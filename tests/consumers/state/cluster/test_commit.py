"""What the commit and its companions do on one server, they do on a cluster: the same tests, on this folder's store."""

from __future__ import annotations

from consumers.state import keys
from consumers.state.store import Store
from tests.consumers.state.test_commit import *  # noqa: F403


async def test_these_tests_are_on_a_cluster(store: Store) -> None:
    assert await store.is_cluster()
    assert len(await store.on_every("PING")) == 3


def test_two_partitions_are_on_two_nodes() -> None:
    assert len({keys.slot_of(keys.PartitionKeys(p).meta) * 3 // keys.SLOTS for p in range(2)}) == 2
