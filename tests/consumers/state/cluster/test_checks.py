"""What is said of a cluster before it is used."""

from __future__ import annotations

from consumers.state.checks import check_store
from consumers.state.store import Store
from tests.consumers.state.servers import Process


async def test_a_cluster_is_fine_with_kafka_and_refused_for_the_log(store: Store) -> None:
    assert (await check_store(store, log_in_store=False)).refusals == []
    [refusal] = (await check_store(store, log_in_store=True)).refusals
    assert "KAFKA_BOOTSTRAP_SERVERS" in refusal


async def test_every_master_is_looked_at(nodes: list[Process], store: Store) -> None:
    await nodes[2].ask("CONFIG", "SET", "maxmemory", "100mb", "maxmemory-policy", "allkeys-lfu")
    try:
        [refusal] = (await check_store(store, log_in_store=False)).refusals
    finally:
        await nodes[2].ask("CONFIG", "SET", "maxmemory", "0", "maxmemory-policy", "noeviction")
    assert refusal.startswith(f"127.0.0.1:{nodes[2].port} has maxmemory-policy allkeys-lfu")
