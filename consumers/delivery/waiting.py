"""Ending tasks that may have been told in a moment in which they could not hear."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

_AGAIN_S = 0.5


async def cancel_all(tasks: Iterable[asyncio.Task[None]]) -> None:
    """End them, whatever they do; how they end is not told. (What swallows a cancellation, as the `wait_for` of Python
    3.11 may, is cancelled again.)"""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        done, left = await asyncio.wait(left, timeout=_AGAIN_S)
        for task in done:
            if not task.cancelled():
                task.exception()
