"""The segment documents as their authors gave them, and their way into the log. The log decides; this remembers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Literal

import msgspec

from consumers.log.port import Log, NewRecord
from consumers.state.definitions import Definitions, decode
from consumers.state.keys import REGISTRY, REVISION, PartitionKeys
from consumers.state.store import Argument, Run, Script, Store
from rules.records import DefinitionRecord, encode_definition

_REPLACE = Script("registry")
_TRIES_MAX = 20  # of a change that others keep getting ahead of


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

    @property
    def exists(self) -> bool:
        """A deleted segment is remembered, for its version: one made again goes on counting."""
        return self.state != "deleted"


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


_Change = Callable[[Entry | None], Entry | None]
"""From the entry that stands to the one that should (None: nothing to change). May raise Conflict."""

_decoder = msgspec.json.Decoder(Entry)
_encoder = msgspec.json.Encoder()


class Registry:
    """All calls may raise Unavailable. Changes are published to every partition of the log before they return."""

    def __init__(self, store: Store, log: Log) -> None:
        self._store = store
        self._log = log

    async def snapshot(self) -> Snapshot:
        """What is there now. (The revision is read first, so that a change in between is noticed, not missed.)"""
        revision, flat = await self._store.calls([("GET", REVISION), ("HGETALL", REGISTRY)])
        entries = [_decoder.decode(raw) for raw in flat[1::2]]
        return Snapshot(int(revision or 0), {each.segment: each for each in entries if each.exists})

    async def get(self, segment: str) -> Entry | None:
        """None for one never made or deleted."""
        raw = await self._store.call("HGET", REGISTRY, segment)
        entry = _decoder.decode(raw) if raw else None
        return entry if entry is not None and entry.exists else None

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
        """Create or replace; answers the entry and whether it was created. The same again changes nothing.

        `expected_version`: If-Match. `must_not_exist`: If-None-Match: *. `revision`: of the snapshot that the document
        was checked against. Raises Conflict, RegistryMoved. A paused segment stays paused. The document is trusted.
        """
        created = False

        def change(old: Entry | None) -> Entry | None:
            nonlocal created
            now, standing = _now_ms(), _standing(old)
            created = standing is None
            _expect(standing, expected_version)
            if standing is None:
                version = old.version + 1 if old is not None else 1
                return Entry(segment, version, "active", document, text, media_type, now, now)
            if must_not_exist:
                raise Conflict(f"segment {segment} exists already", standing)
            if (standing.document, standing.text, standing.media_type) == (document, text, media_type):
                return None
            return msgspec.structs.replace(
                standing,
                version=standing.version + 1,
                document=document,
                text=text,
                media_type=media_type,
                updated_at=now,
            )

        entry = await self._change(segment, change, revision)
        assert entry is not None, "a put leaves a segment there"
        return entry, created

    async def delete(
        self, segment: str, *, expected_version: int | None = None, revision: int | None = None
    ) -> Entry | None:
        """Answers the deleted entry; None where there was none. Raises Conflict, RegistryMoved."""

        def change(old: Entry | None) -> Entry | None:
            standing = _standing(old)
            _expect(standing, expected_version)
            if standing is None:
                return None
            version = standing.version + 1
            return msgspec.structs.replace(
                standing, version=version, state="deleted", document={}, text="", updated_at=_now_ms()
            )

        found = await self._change(segment, change, revision, deleting=True)
        return found if found is not None and not found.exists else None

    async def pause(self, segment: str, *, expected_version: int | None = None) -> Entry | None:
        """Freeze its members; None where there is no such segment. Raises Conflict."""
        return await self._set_state(segment, "paused", expected_version)

    async def resume(self, segment: str, *, expected_version: int | None = None) -> Entry | None:
        """Undo `pause`: everyone is judged as things stand. None where there is none. Raises Conflict."""
        return await self._set_state(segment, "active", expected_version)

    async def publish_pending(self) -> int:
        """Publish what a crash left unpublished; call at start. Answers how many. Harmless to repeat."""
        flat = await self._store.call("HGETALL", REGISTRY)
        pending = [each for raw in flat[1::2] if (each := _decoder.decode(raw)).published < each.version]
        for entry in pending:
            await self._publish(entry)
        return len(pending)

    async def _set_state(
        self, segment: str, state: Literal["active", "paused"], expected_version: int | None
    ) -> Entry | None:
        def change(old: Entry | None) -> Entry | None:
            standing = _standing(old)
            _expect(standing, expected_version)
            if standing is None or standing.state == state:
                return None
            return msgspec.structs.replace(standing, version=standing.version + 1, state=state, updated_at=_now_ms())

        return _standing(await self._change(segment, change, None))

    async def _change(
        self, segment: str, change: _Change, revision: int | None, deleting: bool = False
    ) -> Entry | None:
        """Read, change, replace if nobody else did meanwhile; publish. Answers the entry as it stands then.

        With `deleting`, an entry that was deleted before is answered as None.
        """
        known = await self._known_version(segment)
        for _ in range(_TRIES_MAX):
            raw = await self._store.call("HGET", REGISTRY, segment)
            old = _decoder.decode(raw) if raw else None
            new = _above(change(old), old, known)
            if new is None:
                if old is not None and old.published < old.version:
                    return await self._publish(old)
                return None if deleting else old
            checked_against = "" if revision is None else revision
            args: list[Argument] = [segment, raw or b"", _encoder.encode(new), checked_against, "1"]
            (answer,) = await self._store.run_durably([Run(_REPLACE, [REGISTRY, REVISION], args)])
            if answer == b"revision":
                raise RegistryMoved("another segment changed meanwhile")
            if answer == b"ok":
                return await self._publish(new)
        raise Conflict(f"segment {segment} keeps changing", None)

    async def _known_version(self, segment: str) -> int:
        """The highest version that any partition's evaluator has heard of; 0 for none.

        Above the registry's own where the store was rolled back, or emptied and filled from the log.
        """
        commands = [("GET", PartitionKeys(partition).definitions) for partition in range(self._log.partitions)]
        return max(_version_in(decode(data), segment) for data in await self._store.calls(commands))

    async def restore(self, entries: Iterable[Entry]) -> list[Entry]:
        """Put entries where there is none or an older version; nothing is published. Answers those that were put."""
        restored = []
        for entry in entries:
            for _ in range(_TRIES_MAX):
                raw = await self._store.call("HGET", REGISTRY, entry.segment)
                if raw and _decoder.decode(raw).version >= entry.version:
                    break
                args: list[Argument] = [entry.segment, raw or b"", _encoder.encode(entry), "", "1"]
                (answer,) = await self._store.run_durably([Run(_REPLACE, [REGISTRY, REVISION], args)])
                if answer == b"ok":
                    restored.append(entry)
                    break
        return restored

    async def publish_missing(self) -> list[Entry]:
        """Publish again each segment that some partition's evaluator has not heard of in its version: the log no longer
        had it when they read that. Only once they have read all of it; answers the entries published."""
        flat, *found = await self._store.calls(
            [("HGETALL", REGISTRY)]
            + [("GET", PartitionKeys(partition).definitions) for partition in range(self._log.partitions)]
        )
        states = [decode(data) for data in found]
        entries = [_decoder.decode(raw) for raw in flat[1::2]]
        missing = [
            each
            for each in entries
            if each.exists and min(_version_in(state, each.segment) for state in states) < each.version
        ]
        return [await self._publish(each) for each in missing]

    async def _publish(self, entry: Entry) -> Entry:
        """Tell every partition. Evaluators ignore a version that is not newer than what they know."""
        record = DefinitionRecord(entry.segment, entry.version, entry.state, entry.document if entry.exists else None)
        payload = encode_definition(record)
        await self._log.append([NewRecord(partition, payload) for partition in range(self._log.partitions)])
        published = msgspec.structs.replace(entry, published=entry.version)
        args: list[Argument] = [entry.segment, _encoder.encode(entry), _encoder.encode(published), "", "0"]
        await self._store.run(_REPLACE, [REGISTRY, REVISION], args)  # if it changed again, that is published too
        return published


def _above(new: Entry | None, old: Entry | None, known: int) -> Entry | None:
    """The change in a version that evaluators take note of; also no change, where what they know is not what stands."""
    if new is None and old is not None and old.exists and old.version < known:
        new = msgspec.structs.replace(old, updated_at=_now_ms())
    return new if new is None or new.version > known else msgspec.structs.replace(new, version=known + 1)


def _version_in(state: Definitions, segment: str) -> int:
    """The version in which a partition knows a segment, waiting or in force; 0 for none."""
    note = state.notes.get(segment)
    waiting = [*(state.collecting.definitions if state.collecting else []), *state.queued]
    return max((each.version for each in waiting if each.segment == segment), default=note.version if note else 0)


def _standing(entry: Entry | None) -> Entry | None:
    return entry if entry is not None and entry.exists else None


def _expect(standing: Entry | None, version: int | None) -> None:
    if version is not None and (standing is None or standing.version != version):
        has = "does not exist" if standing is None else f"is at version {standing.version}"
        raise Conflict(f"the segment {has}, not at version {version}", standing)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
