"""The process's own clocks, as an argument: nothing judges by them; they say when to look, wait and give up."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """A wall clock in ms since the epoch, and a steady one in seconds from anywhere."""

    def now_ms(self) -> int: ...

    def monotonic(self) -> float: ...


class SystemClock:
    """The machine's."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()


SYSTEM_CLOCK: Clock = SystemClock()
