"""What commands print: results on standard output, errors and progress on standard error."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)
PLAIN_SECONDS = 2.0  # between two plain lines of progress


def say(text: str, style: str = "") -> None:
    """One line (or more) of result; never read as markup, for texts hold brackets."""
    out.print(Text(text, style=style))


def fail(text: str) -> None:
    err.print(Text(text, style="red"))


class Work:
    """Progress of long work: a bar on a terminal, plain lines elsewhere. `with Work("replaying", total) as work`."""

    def __init__(self, label: str, total: int, things: str = "events") -> None:
        self._label, self._total, self._things = label, max(total, 1), things
        self._began = self._told = time.monotonic()
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._first: tuple[int, float] | None = None  # what was done when it was told first, and when

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
            self._bar = Progress(*columns, TextColumn("{task.fields[rate]}"), TimeRemainingColumn(), console=err)
            self._task = self._bar.add_task(self._label, total=self._total, rate="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def show(self, done: int, count: int, more: str = "") -> None:
        """`done` of the total, which were `count` events (or other things) so far; `more` is told with it."""
        rate = f"{count:,} {self._things}, {count / max(self.seconds, 1e-9):,.0f}/s{more}"
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=min(done, self._total), rate=rate)
        elif time.monotonic() - self._told >= PLAIN_SECONDS:
            self._told = time.monotonic()
            err.print(f"{self._label}: {rate} ({100 * min(done, self._total) // self._total} %{self._left(done)})")

    def _left(self, done: int) -> str:
        """How long the rest takes at the pace so far."""
        if self._first is None:
            self._first = (done, self.seconds)
            return ""
        first, since = self._first
        if done <= first or done >= self._total:
            return ""
        seconds = (self.seconds - since) * (self._total - done) / (done - first)
        return f", {seconds:,.0f} s left" if seconds < 600 else f", {seconds / 60:,.0f} min left"
