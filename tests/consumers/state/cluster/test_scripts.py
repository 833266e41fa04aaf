"""What scripts and reads do on one server, they do on a cluster: the same tests, over this folder's store."""

from __future__ import annotations

from consumers.state import keys
from consumers.state.store import Store
from tests.consumers.state.test_commit import *  # noqa: F403
from tests.consumers.state.test_feed import *  # noqa: F403
from tests.consumers.state.test_registry import *  # noqa: F403


async def test_these_tests_run_over_several_nodes(store: Store) -> None:
    assert await store.is_cluster()
    assert len({await store.call("EXISTS", keys.PartitionKeys(p).meta) for p in range(2)}) == 1
    thirds = {keys.slot_of(key) * 3 // keys.SLOTS for key in (keys.PartitionKeys(0).meta, keys.PartitionKeys(1).meta)}
    assert len(thirds) == 2
