"""What is said of a server before it is used."""

from __future__ import annotations

from pathlib import Path

import pytest

from consumers.state.checks import Findings, _check_version, check_store
from consumers.state.store import Run, Store
from tests.consumers.state.servers import DURABLE, Process
from tests.consumers.state.test_store import COUNT

GOOD = (*DURABLE, "--maxmemory", "100mb", "--maxmemory-policy", "noeviction")


async def found(directory: Path, *options: str, log_in_store: bool = True, replicas_ack: int = 0) -> Findings:
    process = Process(directory / "data", *options)
    try:
        await process.start()
        store = Store.connect(process.url, replicas_ack=replicas_ack)
        try:
            return await check_store(store, log_in_store=log_in_store)
        finally:
            await store.close()
    finally:
        process.kill()


@pytest.mark.parametrize("log_in_store", [True, False])
async def test_a_server_as_it_should_be_is_not_remarked_on(tmp_path: Path, log_in_store: bool) -> None:
    assert await found(tmp_path, *GOOD, log_in_store=log_in_store) == Findings()
    volatile = await found(tmp_path, *GOOD, "--maxmemory-policy", "volatile-lru")
    assert volatile == Findings(), "no key of ours has a time to live"
    slow = await found(tmp_path, *GOOD, "--appendfsync", "everysec", log_in_store=log_in_store)
    assert bool(slow.warnings) == log_in_store, "with Kafka no commit waits for the disk"


@pytest.mark.parametrize(
    ("options", "replicas_ack", "refused", "warned"),
    [
        (("--appendonly", "no"), 0, "appendonly yes", ""),
        (("--maxmemory-policy", "allkeys-lru"), 0, "noeviction", ""),
        (("--maxmemory-policy", "allkeys-lru", "--maxmemory", "0"), 0, "", "noeviction"),
        (("--maxmemory", "0"), 0, "", "no maxmemory"),
        (("--appendfsync", "everysec"), 0, "", "everysec"),
        (("--appendfsync", "no"), 0, "", "appendfsync no"),
        ((), 2, "", "asks for 2"),
    ],
)
async def test_each_thing_that_is_wrong_is_told_with_what_mends_it(
    tmp_path: Path, options: tuple[str, ...], replicas_ack: int, refused: str, warned: str
) -> None:
    findings = await found(tmp_path, *GOOD, *options, replicas_ack=replicas_ack)
    assert bool(findings.refusals) == bool(refused)
    assert any(refused in text for text in findings.refusals or [""])
    assert bool(findings.warnings) == bool(warned)
    assert any(warned in text for text in findings.warnings or [""])


@pytest.mark.parametrize(("version", "fine"), [("7.0.15", False), ("6.2.1", False), ("7.2.4", True), ("10.0.1", True)])
def test_the_server_must_be_able_to_wait_for_its_disk(version: str, fine: bool) -> None:
    findings = Findings()
    _check_version(findings, "a:1", {"redis_version": version})
    assert (findings.refusals == []) == fine


async def test_with_kafka_a_server_may_forget_and_is_not_asked_for_its_disk(tmp_path: Path) -> None:
    process = Process(tmp_path / "data", *GOOD, "--appendonly", "no")
    try:
        await process.start()
        store = Store.connect(process.url)
        findings = await check_store(store, log_in_store=False)
        assert (findings.refusals, findings.forgets) == ([], True)
        assert "segmentd rebuild" in findings.warnings[0]
        store.forgets = True
        assert await store.run_durably([Run(COUNT, ["count"], [])]) == [1]
        await store.close()
    finally:
        process.kill()


async def test_a_user_who_may_not_ask_is_told_so_and_let_in(store: Store) -> None:
    """(The embedded server listens on a socket of its own, so its name and password stand in the URL's first part.)"""
    await store.call("ACL", "SETUSER", "plain", "on", "nopass", "~*", "+@all", "-info", "-config")
    assert store._target.addresses[0].port == 0
    url = f"unix://plain:any@{store._target.addresses[0].host}"
    plain = Store.connect(url)
    findings = await check_store(plain, log_in_store=True)
    assert findings.refusals == []
    assert "+info" in findings.warnings[0]
    await plain.close()
    await store.call("ACL", "DELUSER", "plain")


async def test_a_store_of_the_first_version_is_not_taken_for_an_empty_one(store: Store) -> None:
    await store.call("HSET", "sg:{0}:meta", "commit", 7)
    findings = await check_store(store, log_in_store=True)
    assert any("version 0.1" in text for text in findings.refusals)
