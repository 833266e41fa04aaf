"""How a call to the outside goes wrong. Neither message holds an address that a name led to, a secret, or a body."""

from __future__ import annotations

from rules.errors import SegmentdError


class OutboundRefused(SegmentdError):
    """We do not make this call: its URL or where it leads is not allowed. The same call is refused again."""


class OutboundFailed(SegmentdError):
    """No answer came, or none that can be read; it may go better later."""
