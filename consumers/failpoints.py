"""Named places at which a test may end the process, as a crash would: the numbered steps call `reach("step 4.before")`.

Off by default. `SEGMENTD_FAILPOINT=NAME[:N]` kills the process (SIGKILL) when it reaches that place for the Nth time.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

_Hook = Callable[[str], None]
_hook: _Hook | None = None


def reach(place: str) -> None:
    """Called by the code at each named place; does nothing unless a hook is set."""
    if _hook is not None:
        _hook(place)


def set_hook(hook: _Hook | None) -> None:
    """What `reach` calls from now on in this process; None: nothing."""
    global _hook
    _hook = hook


def kill_at(text: str) -> None:
    """Set the hook that kills this process: `NAME` or `NAME:N`. ValueError for a number below 1."""
    name, _, number = text.partition(":")
    left = int(number or 1)
    if left < 1:
        raise ValueError(f"a failpoint is reached for the 1st time or later, not {number}")

    def hook(place: str) -> None:
        nonlocal left
        if place == name:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    set_hook(hook)
