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

    def __init__(self, label: str, total: int) -> None:
        self._label, self._total = label, max(total, 1)
        self._began = self._told = time.monotonic()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

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

    def show(self, done: int, count: int) -> None:
        """`done` of the total, which were `count` events so far."""
        rate = f"{count:,} events, {count / max(self.seconds, 1e-9):,.0f}/s"
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=min(done, self._total), rate=rate)
        elif time.monotonic() - self._told >= PLAIN_SECONDS:
            self._told = time.monotonic()
            err.print(f"{self._label}: {rate} ({100 * min(done, self._total) // self._total} %)")
