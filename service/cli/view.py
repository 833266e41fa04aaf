"""What `segmentd up` shows while it runs: rates, sizes, the last transitions; plain lines where no terminal is."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any

import orjson
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rules.errors import Unavailable
from service.cli.output import out, say
from service.wiring import Services

LAST_SHOWN = 14  # transitions on the terminal
SEGMENTS_SHOWN = 24
LINES_A_SECOND = 5  # of transitions, where there is no terminal
SUMMARY_S = 10.0  # between two lines of rates and sizes there
WAIT_MS = 1000
PAGE = 500


class View:
    """Follows one process. `watch` runs until it is cancelled."""

    def __init__(self, services: Services, url: str) -> None:
        self._services, self._url = services, url
        self._last: deque[dict[str, Any]] = deque(maxlen=LAST_SHOWN)
        self._entered = self._exited = 0
        self._sizes: dict[str, int] = {}
        self._before: tuple[float, int, int] = (time.monotonic(), 0, 0)
        self._rates = (0.0, 0.0)  # events and transitions a second
        self._unsaid = 0

    async def watch(self) -> None:
        if out.is_terminal:
            with Live(self._screen(), console=out, refresh_per_second=4, transient=True) as live:
                await asyncio.gather(self._follow(), self._look(1.0, lambda: live.update(self._screen())))
        else:
            await asyncio.gather(self._follow(say_each=True), self._look(SUMMARY_S, self._say_summary))

    async def _follow(self, say_each: bool = False) -> None:
        """Reads the feed from now on."""
        position = await self._services.feed.now()
        budget, second = LINES_A_SECOND, time.monotonic()
        while True:
            try:
                page = await self._services.feed.wait(position, PAGE, WAIT_MS)
            except Unavailable as error:
                await asyncio.sleep(error.retry_after_s)
                continue
            position = page.position
            if time.monotonic() - second >= 1:
                budget, second = LINES_A_SECOND, time.monotonic()
            for item in page.items:
                change = orjson.loads(item.data)
                self._note(change)
                if say_each and budget > 0:
                    budget -= 1
                    say(line_of(change))
                else:
                    self._unsaid += say_each

    def _note(self, change: dict[str, Any]) -> None:
        self._last.append(change)
        if change["type"] == "segment.entered":
            self._entered += 1
        else:
            self._exited += 1

    async def _look(self, every_s: float, show: Any) -> None:
        """Counts and shows every so often."""
        while True:
            try:
                names = sorted((await self._services.registry.snapshot()).entries)
                self._sizes = await self._services.reads.sizes(names)
                self._measure()
                show()
            except Unavailable as error:
                say(f"waiting: {error}")
            await asyncio.sleep(every_s)

    def _measure(self) -> None:
        then, events, changes = self._before
        now = (time.monotonic(), self._services.metrics.ingest.accepted_events, self._entered + self._exited)
        seconds = max(now[0] - then, 1e-3)
        self._rates = ((now[1] - events) / seconds, (now[2] - changes) / seconds)
        self._before = now

    def _say_summary(self) -> None:
        events, changes = self._rates
        sizes = ", ".join(f"{name} {size:,}" for name, size in self._sizes.items())
        unsaid = f" ({self._unsaid:,} not shown)" if self._unsaid else ""
        say(f"{events:.1f} events/s, {changes:.1f} transitions/s{unsaid}; members: {sizes or 'no segments yet'}")
        self._unsaid = 0

    def _screen(self) -> Group:
        events, changes = self._rates
        head = Text.assemble(
            ("segmentd ", "bold"), (self._url, "cyan underline"), f"  {events:,.1f} events/s  ",
            f"{changes:,.1f} transitions/s  ", (f"{self._entered:,} entered ", "green"),
            (f"{self._exited:,} exited", "yellow"), "   Ctrl-C ends it",
        )  # fmt: skip
        return Group(head, Text(), self._size_table(), Text(), *(styled(change) for change in self._last))

    def _size_table(self) -> Table:
        table = Table(box=None, pad_edge=False, show_header=False)
        largest = max(self._sizes.values(), default=0) or 1
        for name, size in sorted(self._sizes.items(), key=lambda each: -each[1])[:SEGMENTS_SHOWN]:
            table.add_row(name, f"{size:,}", Text("━" * round(24 * size / largest), style="cyan"))
        if len(self._sizes) > SEGMENTS_SHOWN:
            table.add_row(f"and {len(self._sizes) - SEGMENTS_SHOWN} more", "", "")
        return table


def line_of(change: dict[str, Any]) -> str:
    """A transition as one line: time, who, what, why it happened, and what comes next if nothing does."""
    data = change["data"]
    entered = change["type"] == "segment.entered"
    what = "entered" if entered else "exited "
    following = data.get("leaves_at" if entered else "enters_at")
    forecast = f", {'leaves' if entered else 'enters'} {_clock(following)}" if following else ""
    customer = "".join(c if c.isprintable() else "?" for c in data["customer_id"])
    return f"{_clock(change['time'])} {customer} {what} {data['segment']} ({data['cause']}{forecast})"


def styled(change: dict[str, Any]) -> Text:
    return Text(line_of(change), style="green" if change["type"] == "segment.entered" else "yellow", no_wrap=True)


def _clock(instant: str) -> str:
    """The date only where it is not today's."""
    today = time.strftime("%Y-%m-%d", time.gmtime())
    day, _, clock = instant.partition("T")
    return clock if day == today else f"{day} {clock[:5]}Z"
