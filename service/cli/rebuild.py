"""`segmentd rebuild`: an emptied store is filled from the log by the same evaluation that filled it before."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence

import typer

from consumers.log.port import START
from consumers.log.redis_streams import RedisLog
from consumers.state.rebuild import Filled, Standing, allow, discard, filled, finish, look, restored
from consumers.state.registry_log import read_entries
from consumers.state.store import Store
from rules.errors import SegmentdError, Unavailable
from service import logs
from service.cli.output import Work, fail, say
from service.cli.repair import chosen_partitions
from service.cli.running import Signals, run, settings_from
from service.settings import Settings
from service.wiring import Services, open_services
from service.wording import named

_LOOK_S = 0.5
_NAMED_MAX = 8


class CannotRebuild(SegmentdError):
    """There is nothing to rebuild, or nothing to rebuild from; the message says what can be done."""


def run_rebuild(partitions: Sequence[int], *, discarding: bool, yes: bool, accept_gap: bool) -> None:
    """Exits with 1 when it could not be done, or was interrupted."""
    settings = settings_from()
    level = "warning" if settings.log_level == "info" and sys.stderr.isatty() else settings.log_level
    logs.configure(level, settings.log_format)
    run(lambda signals: _rebuild(settings, signals, partitions, discarding=discarding, yes=yes, accept_gap=accept_gap))


async def _rebuild(
    settings: Settings, signals: Signals, partitions: Sequence[int], *, discarding: bool, yes: bool, accept_gap: bool
) -> bool:
    services = await open_services(settings, evaluate=True)
    try:
        store, log = services.store, services.log
        found = await look(store, log, chosen_partitions(log, partitions))
        check_log(found, on_redis=isinstance(log, RedisLog))
        chosen = to_rebuild(found, discarding=discarding)
        check_whole(chosen, accept_gap=accept_gap)
        if discarding and not await _discard(services, signals, chosen, yes=yes):
            return False
        await _restore_registry(services, signals)
        for each in chosen:
            await allow(store, each.partition)
        if not await _fill(services, signals, chosen):
            fail("interrupted: `segmentd rebuild` goes on where it was (so does every evaluator that runs)")
            return False
        await finish(store, [each.partition for each in chosen])
        await _tell(store, chosen)
        return True
    finally:
        await services.close()


# -- whether it can be done -------------------------------------------------------------------------------------------


def check_log(found: Sequence[Standing], *, on_redis: bool) -> None:
    """Raises CannotRebuild where no record is left."""
    if any(each.first is not None for each in found):
        return
    lost = (
        " A server that was emptied has lost its log with its state: bring its data back from a copy."
        if on_redis
        else ""
    )
    raise CannotRebuild(f"the log holds no record: there is nothing to rebuild from.{lost}")


def to_rebuild(found: Sequence[Standing], *, discarding: bool) -> list[Standing]:
    """The partitions to fill: those that are empty, or half filled; with `discarding` all. CannotRebuild: none."""
    if discarding:
        return list(found)
    broken = [each.partition for each in found if each.discarding]
    if broken:
        raise CannotRebuild(f"the state of {named(broken)} was not discarded to the end: do so with --discard")
    chosen = [each for each in found if each.rebuilding or each.empty]
    if not chosen:
        raise CannotRebuild("no partition is empty: --discard deletes the state first (never the log)")
    if others := [each.partition for each in found if each not in chosen and each.commit]:
        say(f"left as it is: {named(others)}, for there is a state")
    return chosen


def check_whole(chosen: Sequence[Standing], *, accept_gap: bool) -> None:
    """Raises CannotRebuild where the log does not reach back to its beginning, and nobody has accepted that."""
    cut = [each for each in chosen if not each.whole or (each.commit and each.last == START)]
    if not cut:
        return
    told = (
        f"the log of {named([each.partition for each in cut])} does not reach back to its beginning: what came before "
        "is gone, so counts are smaller, and sequences of transitions may begin anew"
    )
    if not accept_gap:
        raise CannotRebuild(f"{told}. Nothing was changed; --accept-gap rebuilds from what is left")
    say(told)


# -- the steps --------------------------------------------------------------------------------------------------------


async def _discard(services: Services, signals: Signals, chosen: Sequence[Standing], *, yes: bool) -> bool:
    """False if the person did not mean it."""
    store, partitions = services.store, [each.partition for each in chosen]
    before = await restored(store, partitions)
    question = (
        f"This deletes the state of {named(partitions)} ({before.customers:,} customers, {before.memberships:,} "
        "memberships, and the feed), to make it again from the log. Go on?"
    )
    if not yes:
        if not sys.stdin.isatty():
            fail(f"{question} Nobody is there to ask: --yes")
            return False
        if not await asyncio.to_thread(typer.confirm, question):
            return False
    with Work("discarding", before.customers, "customers") as work:
        counted = _counted(work, signals)
        for partition in partitions:
            await discard(store, partition, counted)
    return True


def _counted(work: Work, signals: Signals) -> Callable[[int], None]:
    """Tells progress step by step; raises CannotRebuild when asked to end."""
    done = 0

    def count(some: int) -> None:
        nonlocal done
        done += some
        work.show(done, done)
        if signals.asked:
            raise CannotRebuild("interrupted: the same command again goes on")

    return count


async def _restore_registry(services: Services, signals: Signals) -> None:
    """The segments that the registry has lost, as the log tells them."""
    (first,) = await look(services.store, services.log, [0])
    with Work("reading definitions", first.records, "records") as work:
        entries = await read_entries(services.log, first.last, _counted(work, signals))
    put = await services.registry.restore(entries.values())
    if put:
        names = ", ".join(sorted(each.segment for each in put)[:_NAMED_MAX])
        say(f"{len(put):,} segments brought back from the log: {names}{', …' if len(put) > _NAMED_MAX else ''}")


async def _fill(services: Services, signals: Signals, chosen: Sequence[Standing]) -> bool:
    """Evaluate up to where the log ends now, and do what is due. False: asked to end before."""
    partitions = [each.partition for each in chosen]
    ends = {each.partition: each for each in await look(services.store, services.log, partitions)}
    total = sum(each.records for each in ends.values())
    services.start_evaluator()
    with Work("rebuilding", total, "records") as work:
        if not await _evaluated(services, signals, ends, work):
            return False
    again = await services.registry.publish_missing()
    if again:
        say(f"{len(again):,} segments were defined before what the log keeps: they are defined again")
        ends = {each.partition: each for each in await look(services.store, services.log, partitions)}
        with Work("judging by them", total, "records") as work:
            return await _evaluated(services, signals, ends, work)
    return True


async def _evaluated(services: Services, signals: Signals, ends: Mapping[int, Standing], work: Work) -> bool:
    """Until every partition is where it should be."""
    left = {partition: each.last for partition, each in ends.items()}
    reached: dict[int, Filled] = {}
    before: int | None = None
    reason = ""
    while left:
        if signals.asked:
            return False
        try:
            reached |= await filled(services.store, services.log, left)
        except Unavailable as error:
            reason = _say(str(error), reason)
            await asyncio.sleep(_LOOK_S)
            continue
        left = {partition: until for partition, until in left.items() if not reached[partition].done}
        done = sum(progress(ends[partition], each) for partition, each in reached.items())
        before = done if before is None else before
        work.show(done, done - before, f"; {len(ends) - len(left)} of {len(ends)} partitions filled")
        if left:
            evaluator = services.evaluator
            assert evaluator is not None, "a rebuild evaluates"
            if services.evaluator_failed:
                raise CannotRebuild("the evaluator has ended by itself; the log says how")
            reason = _say("" if evaluator.ready else evaluator.reason, reason)
            await asyncio.sleep(_LOOK_S)
    return True


def _say(why: str, said: str) -> str:
    """What is waited for, once; answers it."""
    if why not in ("", "starting", said):
        fail(f"waiting: {why}")
    return why


def progress(standing: Standing, reached: Filled) -> int:
    """How many records of a partition have been read, as far as offsets tell.

    >>> from consumers.log.port import Appended
    >>> standing = Standing(0, 0, True, False, Appended(0, 100, 0), 199, 100, False)
    >>> [progress(standing, Filled(position, False)) for position in (-1, 99, 149, 500)]
    [0, 0, 50, 100]
    """
    if reached.done or standing.first is None:
        return standing.records
    first = standing.first.offset
    read = min(max(0, reached.position + 1 - first), standing.last + 1 - first)
    return standing.records * read // (standing.last + 1 - first)


async def _tell(store: Store, chosen: Sequence[Standing]) -> None:
    found = await restored(store, [each.partition for each in chosen])
    say(
        f"{named([each.partition for each in chosen])}: rebuilt. {found.customers:,} customers, {found.memberships:,} "
        f"memberships in {found.segments:,} segments; {found.transitions:,} transitions came again, with the same ids"
    )
