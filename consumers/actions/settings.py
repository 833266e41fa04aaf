"""The bounds of the actions of one process."""

from __future__ import annotations

import msgspec


class Settings(msgspec.Struct, frozen=True):
    poll_s: float = 0.5  # between two looks at whether a segment's document has changed
    runs_s: float = 5.0  # between two looks at whether a run is due; runs have minutes
    unready_ms: int = 2_000  # until a call whose `unless` is not collected yet is looked at again
    definitions_ms: int = 1_000  # for which what a partition knows of conditions is believed
