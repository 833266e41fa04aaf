"""Calls to addresses that others chose: which may be called, and a client that calls no other and waits no longer."""

from consumers.outbound.client import Answer, Outbound
from consumers.outbound.errors import OutboundFailed, OutboundRefused

__all__ = ["Answer", "Outbound", "OutboundFailed", "OutboundRefused"]
