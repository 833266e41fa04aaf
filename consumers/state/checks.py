"""Whether a server of somebody else's is one that can hold our state: asked once, when a process starts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from redis.exceptions import ResponseError

from consumers.state.store import Store

_VERSION = (7, 2)  # of Redis; Valkey says 7.2.4 or more under that name
_MADE_BY_0_1 = "sg:{0}:meta"


@dataclass
class Findings:
    """`refusals`: with these the service must not run. `warnings`: it runs, and a person should know. One sentence or
    two each, with what would mend it.

    `forgets`: some server keeps no append-only file. Where that is no refusal, tell the store (`Store.forgets`).
    """

    refusals: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    forgets: bool = False


async def check_store(store: Store, *, log_in_store: bool) -> Findings:
    """What is wrong with the server, or with any master of a cluster. Raises Unavailable.

    `log_in_store`: the log is on the same server (no Kafka), so what it loses is lost.
    """
    found = Findings()
    if await store.is_cluster():
        await _check_cluster(store, found, log_in_store)
    try:
        nodes = await store.on_every("INFO")
    except ResponseError as error:
        found.warnings.append(f"the store could not be checked, for its user may not ask (allow +info): {error}")
        return found
    for address, text in nodes:
        info = dict(re.findall(r"^([a-z0-9_]+):(.*?)\r?$", text.decode(), re.MULTILINE))
        _check_version(found, address, info)
        _check_disk(found, address, info, log_in_store)
        _check_memory(found, address, info)
        if int(info.get("connected_slaves", 0)) < store.replicas_ack:
            found.warnings.append(
                f"{address} has {info.get('connected_slaves', 0)} replicas, and SEGMENTD_REDIS_REPLICAS_ACK asks for "
                f"{store.replicas_ack}: until they are there nothing is acknowledged"
            )
    await _check_sync(store, found, log_in_store)
    if await store.call("EXISTS", _MADE_BY_0_1):
        found.refusals.append(
            "the store was filled by version 0.1, whose keys had other names (they did not spread over a cluster): "
            "use an empty one, and send the events again or rebuild from the log"
        )
    return found


def _check_version(found: Findings, address: str, info: Mapping[str, str]) -> None:
    version = info.get("redis_version", "0")
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < _VERSION:
        found.refusals.append(f"{address} is Redis {version}, without WAITAOF: Redis 7.2 or Valkey 8 is needed")


def _check_disk(found: Findings, address: str, info: Mapping[str, str], log_in_store: bool) -> None:
    if info.get("aof_enabled") == "1":
        return
    found.forgets = True
    if log_in_store:
        found.refusals.append(
            f"{address} keeps no append-only file, so it would forget what was acknowledged: set appendonly yes"
        )
    else:
        found.warnings.append(
            f"{address} keeps no append-only file (appendonly no): when it ends, the state is gone, or as old as its "
            "last snapshot. Nothing is lost for good, as Kafka has the events: `segmentd rebuild` reads them again, "
            "for as long as that takes. Segments that were just changed may have to be sent again"
        )


def _check_memory(found: Findings, address: str, info: Mapping[str, str]) -> None:
    limit, policy = int(info.get("maxmemory", 0)), info.get("maxmemory_policy", "noeviction")
    if not limit:
        found.warnings.append(
            f"{address} has no maxmemory: when the machine's memory is full, the kernel ends the server. With a limit "
            "(and maxmemory-policy noeviction) it says so instead, and evaluation waits until there is room"
        )
    if policy.startswith("allkeys"):
        text = (
            f"{address} has maxmemory-policy {policy}: when memory is short it throws keys away. A profile thrown away "
            "is a customer forgotten, and segments are then wrong without anybody knowing: set noeviction"
        )
        (found.refusals if limit else found.warnings).append(text)


async def _check_cluster(store: Store, found: Findings, log_in_store: bool) -> None:
    if log_in_store:
        found.refusals.append(
            "the log cannot be on a Redis Cluster: set KAFKA_BOOTSTRAP_SERVERS, or use one server or Sentinel"
        )
    try:
        states = dict(await store.on_every("CLUSTER", "INFO"))
    except ResponseError:
        return
    bad = ", ".join(address for address, text in states.items() if b"cluster_state:ok" not in text)
    if bad:
        found.warnings.append(f"the cluster is not whole, says {bad}: partitions without a node wait")


async def _check_sync(store: Store, found: Findings, log_in_store: bool) -> None:
    """With Kafka only rare writes wait for the disk: `everysec` is right then."""
    try:
        answers = await store.on_every("CONFIG", "GET", "appendfsync")
    except ResponseError:  # providers forbid it
        return
    for address, answer in answers:
        policy = answer[1].decode() if answer else "always"
        if policy == "everysec" and log_in_store:
            found.warnings.append(
                f"{address} has appendfsync everysec: as safe, for every answer waits for the disk, but that is up to "
                "a second each. With `always` it is the disk's own time"
            )
        elif policy == "no":
            found.warnings.append(
                f"{address} has appendfsync no: what must be on its disk waits for the kernel, up to half a minute, "
                f"and is given up before. Set {'always' if log_in_store else 'everysec'}"
            )
