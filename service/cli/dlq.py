"""`segmentd dlq list` and `segmentd dlq replay`: records that could not be taken, and those that now can."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import orjson

from consumers.intake.replay import Replay, Replayed, Wish
from consumers.log.dead_letters import DeadLetter
from rules.errors import SegmentdError
from rules.events import EventLimits
from rules.times import format_instant
from service import logs
from service.cli.output import Work, fail, out, say
from service.cli.running import settings_from
from service.cli.sources import sources_from
from service.dead_letters import told
from service.letters import open_letters
from service.settings import Settings

_SHOWN_CHARS = 160


class NothingAsked(SegmentdError):
    """The command was not told which letters."""

    status = 2


# -- list -------------------------------------------------------------------------------------------------------------


def run_list(limit: int, reason: str, *, data_dir: Path | None, as_json: bool) -> None:
    settings = settings_from(data_dir=data_dir)
    logs.configure("warning", settings.log_format)
    asyncio.run(_list(settings, limit, Wish(reason=reason), as_json=as_json))


async def _list(settings: Settings, limit: int, wish: Wish, *, as_json: bool) -> None:
    shown = 0
    async with open_letters(settings) as letters:
        async for letter in letters.box.newest_first():
            if not wish(letter):
                continue
            if shown == limit:
                if not as_json:
                    fail(f"there are more than {limit}: --limit shows more of them")
                break
            shown += 1
            if as_json:
                out.print(orjson.dumps(told(letter)).decode(), markup=False)
            else:
                say(as_text(letter))
    if not shown and not as_json:
        say("no dead letters" + (" with that reason" if wish.reason else ""))


def as_text(letter: DeadLetter) -> str:
    """Two lines: what happened, and how the record begins."""
    when = format_instant(letter.put_ms)
    head = (
        f"{letter.id}  {when}  {letter.origin.topic}:{letter.origin.partition}:{letter.origin.offset}  {letter.reason}"
    )
    if letter.raw is None:
        return f"{head}\n    (no value)"
    text = "".join(c if c.isprintable() else "·" for c in letter.raw[:_SHOWN_CHARS].decode(errors="replace"))
    return f"{head}\n    {text}{' …' if len(letter.raw) > _SHOWN_CHARS else ''}"


# -- replay -----------------------------------------------------------------------------------------------------------


def run_replay(
    ids: Sequence[str], reason: str, *, everything: bool, sources: Path | None, data_dir: Path | None
) -> None:
    """Exits with 1 if any of the letters is still bad, or was not found."""
    if bool(ids) == everything:
        raise NothingAsked("say which dead letters: --id ID (more than once), or --all, with --reason TEXT for some")
    settings = settings_from(data_dir=data_dir)
    logs.configure("warning", settings.log_format)
    wish = Wish(None if everything else frozenset(ids), reason)
    if not asyncio.run(_replay(settings, wish, sources)):
        sys.exit(1)


async def _replay(settings: Settings, wish: Wish, path: Path | None) -> bool:
    sources = {source.topic: source for source in sources_from(settings, path)}
    async with open_letters(settings) as letters:
        found = [letter.id async for letter in letters.box.newest_first() if wish(letter)]
        for missing in sorted(frozenset(wish.ids or ()) - frozenset(found)):
            fail(f"{missing}: no such dead letter" + (" with that reason" if wish.reason else ", or taken back before"))
        limits = EventLimits(age_ms=settings.event_age_ms_max)
        replay = Replay(letters.box, letters.log, sources, letters.own, limits)
        done = await _watched(replay, wish, len(found))
    tell(done)
    return not done.still_bad and len(found) >= len(wish.ids or ())


async def _watched(replay: Replay, wish: Wish, total: int) -> Replayed:
    with Work("taking back", total, "letters") as work:
        return await replay.run(wish, time.time_ns() // 1_000_000, lambda done: work.show(done.looked_at, done.taken))


def tell(done: Replayed) -> None:
    for letter, reason in done.bad:
        fail(f"{letter.id}: still bad: {reason}")
    if done.still_bad > len(done.bad):
        fail(f"... and {done.still_bad - len(done.bad)} more")
    skipped = f", {done.skipped} skipped by their source's `where`" if done.skipped else ""
    say(f"{done.looked_at} dead letters: {done.taken} taken back, {done.still_bad} still bad{skipped}")
