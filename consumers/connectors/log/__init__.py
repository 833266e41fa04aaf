"""The connectors that write to the log: `profile` (set, unset, tag, untag) and `segment` (add, remove)."""

from consumers.connectors.log.connector import LogConnector
from consumers.connectors.log.words import PROFILE, SEGMENT

__all__ = ["PROFILE", "SEGMENT", "LogConnector"]
