"""`segmentd repair`: partitions whose position is outside the log, and on with them without what is gone."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from consumers.log.port import Log
from consumers.state.repair import Outside, accept_gap, find_outside, position_after
from consumers.state.store import Store
from rules.errors import SegmentdError
from rules.limits import DEDUP_MS, HOUR_MS
from rules.times import format_instant
from service import logs
from service.cli.output import fail, say
from service.cli.running import settings_from
from service.settings import Settings
from service.wiring import open_services


class NoSuchPartition(SegmentdError):
    """The log has fewer partitions."""

    status = 2


def run_repair(partitions: Sequence[int], *, accept: bool, from_start: bool) -> None:
    """Exits with 1 when gaps are left."""
    settings = settings_from()
    logs.configure(settings.log_level, settings.log_format)
    if not asyncio.run(_repair(settings, partitions, accept=accept, from_start=from_start)):
        sys.exit(1)


async def _repair(settings: Settings, partitions: Sequence[int], *, accept: bool, from_start: bool) -> bool:
    services = await open_services(settings, evaluate=False)
    try:
        chosen = chosen_partitions(services.log, partitions)
        found = await find_outside(services.store, services.log, chosen)
        for each in found:
            say(told(each, counts=settings.kafka_bootstrap_servers is not None))
        if not found:
            say(f"nothing to repair: the log has what follows every position ({len(chosen)} partitions looked at)")
            return True
        if not accept:
            fail("nothing was changed; `segmentd repair --accept-gap` goes on without what is gone")
            return False
        return await _accept(services.store, found, from_start=from_start)
    finally:
        await services.close()


async def _accept(store: Store, found: Sequence[Outside], *, from_start: bool) -> bool:
    well = True
    for each in found:
        why = await accept_gap(store, each, from_start=from_start)
        to = position_after(each, from_start=from_start)
        if why:
            fail(f"partition {each.partition}: not changed, for it has moved meanwhile ({why})")
            well = False
        elif each.beyond and to != each.last:
            say(
                f"partition {each.partition}: goes on with the oldest record that is kept; an event that was read "
                f"before counts again, where that was more than {DEDUP_MS // HOUR_MS} hours ago"
            )
        else:
            say(f"partition {each.partition}: goes on after {to}")
    return well


def chosen_partitions(log: Log, partitions: Sequence[int]) -> Sequence[int]:
    """Those that are named, or all. Raises NoSuchPartition."""
    for each in partitions:
        if not 0 <= each < log.partitions:
            raise NoSuchPartition(f"there is no partition {each}: the log has 0 to {log.partitions - 1}")
    return sorted(set(partitions)) or range(log.partitions)


def told(each: Outside, *, counts: bool) -> str:
    """What is gone, for people. `counts`: whether every offset is one record, as on Kafka."""
    place = f"partition {each.partition}: position {each.position}"
    if each.beyond:
        newest = f"the newest record, {each.last}" if each.last >= 0 else "the end of the log, which is empty"
        return f"{place} is beyond {newest}: the log was truncated or made anew"
    many = f"{each.missing:,} records at most" if counts else "what came next"
    since = f"after {format_instant(each.clock)}" if each.clock else "after it"
    until = ""
    if each.first is not None:
        until = f" and before {format_instant(each.first.timestamp_ms)} ({each.first.offset} is the oldest kept)"
    return f"{place} is before what the log keeps; gone: {many}, written {since}{until}"
