"""When a failed call is made again."""

from __future__ import annotations

from random import Random

DELAYS_MS = tuple(seconds * 1000 for seconds in (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400))
"""Before each attempt, from the end of the one before: 0, 5 s, 5 min, 30 min, 2, 5, 10, 14, 20, 24 h: 75.6 h in all."""
JITTER = 0.1
"""A delay is this much longer at most, and never shorter: whoever is down for three days is still being tried."""


def next_attempt_ms(
    attempts: int, now_ms: int, retry_after_s: float | None, random: Random, retry_after_ms_max: int
) -> int | None:
    """When to try again (ms) after so many attempts; None: it is given up.

    `retry_after_s`: what the other side asked for; it can put the attempt off by `retry_after_ms_max`, not advance it.

    >>> next_attempt_ms(10, 0, None, Random(1), 0) is None
    True
    """
    if attempts >= len(DELAYS_MS):
        return None
    delay = DELAYS_MS[attempts] * (1 + JITTER * random.random())
    if retry_after_s is not None:
        delay = max(delay, min(retry_after_s * 1000, retry_after_ms_max))
    return now_ms + int(delay)
