"""A mistake of ours, as the log may tell it: its kind and where it was, never what was at hand (customers, secrets)."""

from __future__ import annotations

import traceback
from pathlib import PurePath


def where(error: BaseException) -> str:
    """`ValueError in runner.py:120`."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return type(error).__name__ + place
