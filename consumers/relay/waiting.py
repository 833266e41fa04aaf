"""Waiting that a cancellation always ends. (The `wait_for` of Python 3.11 may swallow one that comes as it ends.)"""

from __future__ import annotations

import asyncio


async def set_or_time(event: asyncio.Event, seconds: float | None) -> None:
    """Until the event is set; when so much time has passed (None: never), it sets the event itself."""
    alarm = None if seconds is None else asyncio.get_running_loop().call_later(seconds, event.set)
    try:
        await event.wait()
    finally:
        if alarm is not None:
            alarm.cancel()


def heed_cancellation() -> None:
    """End a task that was cancelled in a call that swallowed it (redis-py waits by `wait_for`)."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
