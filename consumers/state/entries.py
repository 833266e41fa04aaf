"""A segment as the registry keeps it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Begin(msgspec.Struct, frozen=True, array_like=True):
    """When an action came (ms), and where the feed stood then: what happened before does not concern it."""

    at: int
    position: str


class Entry(msgspec.Struct, frozen=True):
    """A segment. `version` starts at 1 and grows with every put, pause, resume and delete, but for puts that change
    nothing but its actions: of these `revision` counts those since the version began. The ETag names both.

    `actions_version`: of what evaluators are told of its actions (`rules.hidden`); 0: they never heard of any.
    """

    segment: str
    version: int
    state: Literal["active", "paused", "deleted"]
    document: dict[str, Any]  # JSON form
    text: str  # the author's own, comments and all
    media_type: str  # of `text`: application/yaml or application/json
    created_at: int  # ms
    updated_at: int  # ms
    published: int = 0  # the version that every partition's log has durably
    revision: int = 0
    actions_version: int = 0
    actions_published: int = 0  # as `published`
    begins: dict[str, Begin] = {}  # by action; one that was restored from the log has none

    @property
    def etag(self) -> str:
        """The entity tag, quotes included."""
        return f'"{self.version}.{self.revision}"' if self.revision else f'"{self.version}"'

    @property
    def pending(self) -> bool:
        """Whether some log has not heard of its newest state."""
        return self.published < self.version or self.actions_published < self.actions_version

    @property
    def exists(self) -> bool:
        """A deleted segment is remembered, for its version: one made again goes on counting."""
        return self.state != "deleted"
