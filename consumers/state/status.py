"""Where every partition stands."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from consumers.log.port import START, Lag, Log, Offset
from consumers.state.commit import Meta
from consumers.state.keys import PartitionKeys
from consumers.state.repair import Gap, parse_gaps
from consumers.state.store import Argument, Store
from rules.errors import Unavailable

_COMMANDS = 6  # asked of each partition
_LOG_S = 2.0  # for the log's ends; readiness is asked every few seconds, and must answer while the log is away


class PartitionStatus(msgspec.Struct, frozen=True):
    """Instants and lags in ms. What only the log knows is None while it is away."""

    partition: int
    owner: str  # "": nobody
    seen: int  # when the owner last said that it is alive (the store's clock); 0: never
    trouble: str  # why the owner does not evaluate; "": it does
    recovering: bool  # the store had been rolled back behind the transitions' topic, and catches up
    epoch: int
    commit: int
    position: Offset
    log_end: Offset | None
    lag_records: int | None  # records after `position`, counted up to LAG_RECORDS_MAX
    clock: int  # 0 before the first record
    clock_lag_ms: int | None  # behind the newest record of the log
    relay_lag: int | None  # transitions not known to be published; None where nothing is published
    customers: int
    timers: int  # customers with something pending
    timers_due: int  # of these, due by the clock already
    next_due: int | None
    edition: int
    judged: int  # customers settled by the newest edition, of `customers`
    dead_letters: int
    gaps: Sequence[Gap]  # of the log that a person let it pass over, the newest last


async def read_status(store: Store, log: Log, keys: Sequence[PartitionKeys]) -> list[PartitionStatus]:
    """All partitions: three round trips."""
    flats = await store.calls([("HGETALL", each.meta) for each in keys])
    metas = [Meta.parse(flat) for flat in flats]
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
    lags = await _lags(log, {p: meta.position for p, meta in enumerate(metas)})
    return [
        _status(p, meta, _beside(flats[p]), counts[p * _COMMANDS : (p + 1) * _COMMANDS], lags.get(p))
        for p, meta in enumerate(metas)
    ]


async def _lags(log: Log, positions: Mapping[int, Offset]) -> Mapping[int, Lag]:
    """Nothing while the log is away: what the store knows can be told all the same."""
    try:
        return await asyncio.wait_for(log.lags(positions), _LOG_S)
    except (Unavailable, TimeoutError):
        return {}


def _beside(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    """The meta's fields; those among them that are no business of its owner's are not in `Meta`."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _relay_lag(meta: Meta) -> int | None:
    """By the relay's own note (`commit nth position number skips`), which it writes now and then: at most so many."""
    if meta.relayed:
        return max(0, meta.numbered - int(meta.relayed.split()[3]))
    return meta.numbered if meta.relays else None


def _clock_lag(meta: Meta, lag: Lag) -> int:
    return max(0, lag.newest_ms - meta.clock) if lag.end != START else 0


def _status(
    partition: int, meta: Meta, beside: Mapping[bytes, bytes], counts: Sequence[Any], lag: Lag | None
) -> PartitionStatus:
    customers, timers, due, nearest, judged, dead = counts
    return PartitionStatus(
        partition=partition,
        owner=meta.owner,
        seen=int(beside.get(b"seen", 0)),
        trouble=meta.trouble,
        recovering=meta.lost_to > 0,
        epoch=meta.epoch,
        commit=meta.commit,
        position=meta.position,
        log_end=lag.end if lag else None,
        lag_records=lag.records if lag else None,
        clock=meta.clock,
        clock_lag_ms=_clock_lag(meta, lag) if lag else None,
        relay_lag=_relay_lag(meta),
        customers=customers,
        timers=timers,
        timers_due=due,
        next_due=int(float(nearest[1])) if nearest else None,
        edition=meta.edition,
        judged=judged,
        dead_letters=dead,
        gaps=parse_gaps(beside.get(b"gaps", b"")),
    )
