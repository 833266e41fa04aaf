"""What the benchmarks say while they run: bars on a terminal, plain lines elsewhere. On stderr."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Advance = Callable[[int], None]
_REFRESH_S = 0.25

console = Console(stderr=True)


@contextlib.contextmanager
def track(what: str, total: int) -> Iterator[Advance]:
    """A bar of `total`; calling what it gives with a count moves it on, and costs next to nothing."""
    began = time.monotonic()
    if console.is_terminal:
        columns = (TextColumn("{task.description:<34}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, auto_refresh=False, transient=True) as bars:
            yield _bar(bars, what, total)
    else:
        yield lambda count: None
    console.print(f"{what}: {total:,} in {time.monotonic() - began:.1f} s", highlight=False)


def _bar(bars: Progress, what: str, total: int) -> Advance:
    task = bars.add_task(what, total=total)
    refreshed = 0.0

    def advance(count: int) -> None:
        nonlocal refreshed
        bars.advance(task, count)
        if time.monotonic() - refreshed > _REFRESH_S:
            refreshed = time.monotonic()
            bars.refresh()

    return advance
