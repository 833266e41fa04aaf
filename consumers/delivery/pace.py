"""How many calls may begin a second."""

from __future__ import annotations

BURST_S = 0.1
"""So much of a second's calls may begin at once, and always one."""


class Pace:
    """`rate` calls a second, None: any number. Steady seconds come from the caller."""

    def __init__(self, now_s: float) -> None:
        self._at_s = now_s
        self._tokens = 1.0

    def wait_s(self, rate: float | None, now_s: float) -> float:
        """How long until the next call may begin; 0: now."""
        if rate is None:
            return 0.0
        if rate <= 0:
            return float("inf")
        self._tokens = min(max(1.0, rate * BURST_S), self._tokens + (now_s - self._at_s) * rate)
        self._at_s = now_s
        missing = 1.0 - self._tokens
        return 0.0 if missing < 1e-9 else missing / rate  # (sums of floats)

    def begin(self) -> None:
        """One has begun."""
        self._tokens -= 1.0
