"""The bounds of webhooks in one process."""

from __future__ import annotations

import msgspec

from rules.limits import DAY_MS


class Settings(msgspec.Struct, frozen=True):
    """`timeout_s`: for a receiver's whole answer. `disable_after_ms`: of failures only. `poll_s`: between two looks at
    the registry: how soon a new subscription is delivered to (from where it began: nothing is missed)."""

    timeout_s: float = 15.0
    disable_after_ms: int = 5 * DAY_MS
    poll_s: float = 0.5
