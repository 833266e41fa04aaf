"""A change of membership by hand: what somebody asked for, and the event of the log that it becomes."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any, Literal, NamedTuple

import msgspec

from rules.events import Event
from rules.times import format_instant

Action = Literal["add", "remove", "clear"]


class Change(NamedTuple):
    """One change by hand; `until` in ms, `by` the name of whoever makes it."""

    segment: str
    customer: str
    action: Action
    until: int | None
    by: str

    def event(self, event_id: str, now_ms: int) -> Event:
        properties: dict[str, Any] = {"segment": self.segment, "action": self.action, "by": self.by}
        if self.until is not None:
            properties["until"] = format_instant(self.until)
        return Event("membership", self.customer, now_ms, event_id, properties)

    def id(self, key: str | None, now_ns: int) -> str:
        """The event's id. With a key it follows from key and request, so that a repetition is a duplicate; without,
        it grows with time, so that of two changes in one millisecond the later wins."""
        if key is None:
            return f"by-hand-{now_ns:020d}-{secrets.token_hex(4)}"
        said = msgspec.json.encode([key, self.segment, self.customer, self.action, self.until])
        return f"by-hand-key-{hashlib.sha256(said).hexdigest()[:40]}"

    def id_in(self, import_id: str, row: int) -> str:
        """The id of a row of an import: the same row of the same import is a duplicate; of two rows the later wins."""
        said = msgspec.json.encode([self.customer, self.action, self.until])
        return f"{import_id}-{row:09d}-{hashlib.sha256(said).hexdigest()[:16]}"


def import_id(key: str | None, segment: str, *, dry_run: bool, now_ms: int) -> str:
    """An import's own id: with a key always the same, so that sending the file again counts once; else a new one."""
    if key is None:
        return f"import-{now_ms:013d}-{secrets.token_hex(4)}"
    return f"import-{hashlib.sha256(msgspec.json.encode([key, segment, dry_run])).hexdigest()[:24]}"
