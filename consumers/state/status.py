"""Where every partition stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from consumers.log.port import START, Lag, Log, Offset
from consumers.state.commit import Meta
from consumers.state.keys import PartitionKeys
from consumers.state.store import Argument, Store

_COMMANDS = 6  # asked of each partition


class PartitionStatus(msgspec.Struct, frozen=True):
    """Instants and lags in ms."""

    partition: int
    owner: str  # "": nobody
    epoch: int
    commit: int
    position: Offset
    log_end: Offset
    lag_records: int  # records after `position`, counted up to LAG_RECORDS_MAX
    clock: int  # 0 before the first record
    clock_lag_ms: int  # behind the newest record of the log
    customers: int
    timers: int  # customers with something pending
    timers_due: int  # of these, due by the clock already
    next_due: int | None
    edition: int
    judged: int  # customers settled by the newest edition, of `customers`
    dead_letters: int


async def read_status(store: Store, log: Log, keys: Sequence[PartitionKeys]) -> list[PartitionStatus]:
    """All partitions: three round trips."""
    metas = [Meta.parse(flat) for flat in await store.calls([("HGETALL", each.meta) for each in keys])]
    commands: list[Sequence[Argument]] = []
    for each, meta in zip(keys, metas, strict=True):
        commands += [
            ("ZCARD", each.judged),
            ("ZCARD", each.timers),
            ("ZCOUNT", each.timers, "-inf", f"({meta.clock}"),
            ("ZRANGE", each.timers, 0, 0, "WITHSCORES"),
            ("ZCOUNT", each.judged, meta.edition, "+inf"),
            ("XLEN", each.dead),
        ]
    counts = await store.calls(commands)
    lags = await log.lags({p: meta.position for p, meta in enumerate(metas)})
    return [_status(p, meta, counts[p * _COMMANDS : (p + 1) * _COMMANDS], lags[p]) for p, meta in enumerate(metas)]


def _status(partition: int, meta: Meta, counts: Sequence[Any], lag: Lag) -> PartitionStatus:
    customers, timers, due, nearest, judged, dead = counts
    return PartitionStatus(
        partition=partition,
        owner=meta.owner,
        epoch=meta.epoch,
        commit=meta.commit,
        position=meta.position,
        log_end=lag.end,
        lag_records=lag.records,
        clock=meta.clock,
        clock_lag_ms=max(0, lag.newest_ms - meta.clock) if lag.end != START else 0,
        customers=customers,
        timers=timers,
        timers_due=due,
        next_due=int(float(nearest[1])) if nearest else None,
        edition=meta.edition,
        judged=judged,
        dead_letters=dead,
    )
