"""The segment documents as their authors gave them, and their way into the log. The log decides; this remembers."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from consumers.log.port import Log
from consumers.state.store import Store


class Entry(msgspec.Struct, frozen=True):
    """A segment. `version` starts at 1 and grows with every put, pause, resume and delete; the ETag follows it."""

    segment: str
    version: int
    state: Literal["active", "paused", "deleted"]
    document: dict[str, Any]  # JSON form
    text: str  # the author's own, comments and all
    media_type: str  # of `text`: application/yaml or application/json
    created_at: int  # ms
    updated_at: int  # ms
    published: int = 0  # the version that every partition's log has durably

    @property
    def etag(self) -> str:
        """The entity tag, quotes included."""
        return f'"{self.version}"'


class Snapshot(msgspec.Struct, frozen=True):
    """All segments that are not deleted, by id, at one `revision`: what to check a new document against."""

    revision: int
    entries: dict[str, Entry]


class Conflict(Exception):
    """The segment is not at the version expected (`entry` is what it is now; None: there is none)."""

    def __init__(self, message: str, entry: Entry | None) -> None:
        super().__init__(message)
        self.entry = entry


class RegistryMoved(Exception):
    """Another segment changed since the snapshot: take a new one, check again, repeat."""


class Registry:
    """All calls may raise Unavailable. Changes are published to every partition of the log before they return."""

    def __init__(self, store: Store, log: Log) -> None:
        raise NotImplementedError

    async def snapshot(self) -> Snapshot:
        raise NotImplementedError

    async def get(self, segment: str) -> Entry | None:
        """None for one never made or deleted."""
        raise NotImplementedError

    async def put(
        self,
        segment: str,
        document: dict[str, Any],
        text: str,
        media_type: str,
        *,
        expected_version: int | None = None,
        must_not_exist: bool = False,
        revision: int | None = None,
    ) -> tuple[Entry, bool]:
        """Create or replace; answers the entry and whether it was created. The same document and text again changes nothing.

        `expected_version`: If-Match. `must_not_exist`: If-None-Match: *. `revision`: of the snapshot that the document was
        checked against. Raises Conflict, RegistryMoved. A paused segment stays paused. The document is trusted: check first.
        """
        raise NotImplementedError

    async def delete(
        self, segment: str, *, expected_version: int | None = None, revision: int | None = None
    ) -> Entry | None:
        """Answers the deleted entry; None where there was none. Raises Conflict, RegistryMoved."""
        raise NotImplementedError

    async def pause(self, segment: str, *, expected_version: int | None = None) -> Entry | None:
        raise NotImplementedError

    async def resume(self, segment: str, *, expected_version: int | None = None) -> Entry | None:
        raise NotImplementedError

    async def publish_pending(self) -> int:
        """Publish what a crash left unpublished; call at start. Answers how many. Harmless to repeat."""
        raise NotImplementedError
