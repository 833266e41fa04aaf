"""The segment documents as their authors gave them, and their way into the log. The log decides; this remembers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Literal

import msgspec

from consumers.log.port import Log, NewRecord
from consumers.state.definitions import Definitions, decode
from consumers.state.edits import EDITS_MAX, write_edit
from consumers.state.entries import Begin, Entry
from consumers.state.feed import Feed
from consumers.state.keys import REGISTRY, REVISION, PartitionKeys, edits_key
from consumers.state.store import Argument, Run, Script, Store
from rules.hidden import hidden_document, hidden_id, rule_of
from rules.records import DefinitionRecord, encode_definition

__all__ = ["Conflict", "Entry", "Registry", "RegistryMoved", "Snapshot"]

_REPLACE = Script("registry")
_TRIES_MAX = 20  # of a change that others keep getting ahead of


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
        by: str = "",
    ) -> tuple[Entry, bool]:
        """Create or replace; answers the entry and whether it was created. The same again changes nothing.

        `expected_version`: If-Match. `must_not_exist`: If-None-Match: *. `revision`: of the snapshot that the document
        was checked against. `by`: who does it. Raises Conflict, RegistryMoved. A paused segment stays paused. The
        document is trusted.
        """
        created, begin = False, await self._begin(document)

        def change(old: Entry | None) -> Entry | None:
            nonlocal created
            now, standing = _now_ms(), _standing(old)
            created = standing is None
            _expect(standing, expected_version)
            if standing is None:
                heard = old.actions_version if old is not None else 0
                version = old.version + 1 if old is not None else 1
                return Entry(
                    segment, version, "active", document, text, media_type, now, now,
                    actions_version=heard, actions_published=heard, begins=_begins(document, {}, begin),
                )  # fmt: skip
            if must_not_exist:
                raise Conflict(f"segment {segment} exists already", standing)
            if (standing.document, standing.text, standing.media_type) == (document, text, media_type):
                return None
            begins = _begins(document, standing.begins, begin)
            edited = msgspec.structs.replace(
                standing, document=document, text=text, media_type=media_type, updated_at=now, begins=begins
            )
            if standing.document != document and rule_of(standing.document) == rule_of(document):
                return msgspec.structs.replace(edited, revision=standing.revision + 1)
            return _next_version(edited)

        entry = await self._change(segment, change, revision, by)
        assert entry is not None, "a put leaves a segment there"
        return entry, created

    async def _begin(self, document: dict[str, Any]) -> Begin:
        """Where actions that are new in a document begin."""
        position = await Feed(self._store, self._log.partitions).now() if document.get("actions") else ""
        return Begin(_now_ms(), position)

    async def delete(
        self, segment: str, *, expected_version: int | None = None, revision: int | None = None, by: str = ""
    ) -> Entry | None:
        """Answers the deleted entry; None where there was none. Raises Conflict, RegistryMoved."""

        def change(old: Entry | None) -> Entry | None:
            standing = _standing(old)
            _expect(standing, expected_version)
            if standing is None:
                return None
            gone = msgspec.structs.replace(standing, state="deleted", document={}, text="", updated_at=_now_ms())
            return _next_version(gone)

        found = await self._change(segment, change, revision, by, deleting=True)
        return found if found is not None and not found.exists else None

    async def pause(self, segment: str, *, expected_version: int | None = None, by: str = "") -> Entry | None:
        """Freeze its members; None where there is no such segment. Raises Conflict."""
        return await self._set_state(segment, "paused", expected_version, by)

    async def resume(self, segment: str, *, expected_version: int | None = None, by: str = "") -> Entry | None:
        """Undo `pause`: everyone is judged as things stand. None where there is none. Raises Conflict."""
        return await self._set_state(segment, "active", expected_version, by)

    async def publish_pending(self) -> int:
        """Publish what a crash left unpublished; call at start. Answers how many. Harmless to repeat."""
        flat = await self._store.call("HGETALL", REGISTRY)
        pending = [each for raw in flat[1::2] if (each := _decoder.decode(raw)).pending]
        for entry in pending:
            await self._publish(entry)
        return len(pending)

    async def _set_state(
        self, segment: str, state: Literal["active", "paused"], expected_version: int | None, by: str
    ) -> Entry | None:
        def change(old: Entry | None) -> Entry | None:
            standing = _standing(old)
            _expect(standing, expected_version)
            if standing is None or standing.state == state:
                return None
            return _next_version(msgspec.structs.replace(standing, state=state, updated_at=_now_ms()))

        return _standing(await self._change(segment, change, None, by))

    async def _change(
        self, segment: str, change: _Change, revision: int | None, by: str, deleting: bool = False
    ) -> Entry | None:
        """Read, change, replace if nobody else did meanwhile; publish. Answers the entry as it stands then.

        With `deleting`, an entry that was deleted before is answered as None.
        """
        known = await self._known_version(segment)
        for _ in range(_TRIES_MAX):
            raw = await self._store.call("HGET", REGISTRY, segment)
            old = _decoder.decode(raw) if raw else None
            wanted = change(old)
            new = _above(wanted, old, known)
            if new is None:
                if old is not None and old.pending:
                    return await self._publish(old)
                return None if deleting else old
            checked_against = "" if revision is None else str(revision)
            edit = write_edit(old, new, by) if wanted is not None else b""
            run = _replacing(segment, raw or b"", new, checked_against, "1", edit)
            (answer,) = await self._store.run_durably([run])
            if answer == b"revision":
                raise RegistryMoved("another segment changed meanwhile")
            if answer == b"ok":
                return await self._publish(new)
        raise Conflict(f"segment {segment} keeps changing", None)

    async def _known_version(self, segment: str) -> tuple[int, int]:
        """The highest version that any partition's evaluator has heard of, and of its actions; 0 for none.

        Above the registry's own where the store was rolled back, or emptied and filled from the log.
        """
        commands = [("GET", PartitionKeys(partition).definitions) for partition in range(self._log.partitions)]
        states = [decode(data) for data in await self._store.calls(commands)]
        hidden = hidden_id(segment)
        return max(_version_in(each, segment) for each in states), max(_version_in(each, hidden) for each in states)

    async def restore(self, entries: Iterable[Entry]) -> list[Entry]:
        """Put entries where there is none or an older version; nothing is published. Answers those that were put."""
        restored = []
        for entry in entries:
            for _ in range(_TRIES_MAX):
                raw = await self._store.call("HGET", REGISTRY, entry.segment)
                if raw and _age(_decoder.decode(raw)) >= _age(entry):
                    break
                run = _replacing(entry.segment, raw or b"", entry, "", "1")
                (answer,) = await self._store.run_durably([run])
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
        missing = [each for each in entries if each.exists and any(_unheard(state, each) for state in states)]
        return [await self._publish(each, again=True) for each in missing]

    async def _publish(self, entry: Entry, again: bool = False) -> Entry:
        """Tell every partition. Evaluators ignore a version that is not newer than what they know.

        `again`: all of it, also what was published before.
        """
        records = []
        if again or entry.published < entry.version:
            document = rule_of(entry.document) if entry.exists else None
            records.append(DefinitionRecord(entry.segment, entry.version, entry.state, document))
        if entry.actions_version and (again or entry.actions_published < entry.actions_version):
            records.append(_of_actions(entry))
        partitions = range(self._log.partitions)
        await self._log.append([NewRecord(p, encode_definition(each)) for each in records for p in partitions])
        published = msgspec.structs.replace(entry, published=entry.version, actions_published=entry.actions_version)
        run = _replacing(entry.segment, _encoder.encode(entry), published, "", "0")
        await self._store.run(*run)  # if it changed again, that is published too
        return published


def _replacing(segment: str, raw: bytes, new: Entry, checked_against: str, counts: str, edit: bytes = b"") -> Run:
    """The script that puts `new` in the place of `raw`."""
    args: list[Argument] = [segment, raw, _encoder.encode(new), checked_against, counts, edit, EDITS_MAX]
    return Run(_REPLACE, [REGISTRY, REVISION, edits_key(segment)], args)


def _of_actions(entry: Entry) -> DefinitionRecord:
    """What evaluators are told of a segment's actions."""
    document = hidden_document(entry.document)
    state: Literal["paused", "deleted"] = "deleted" if document is None else "paused"
    return DefinitionRecord(hidden_id(entry.segment), entry.actions_version, state, document)


def _begins(document: dict[str, Any], known: dict[str, Begin], begin: Begin) -> dict[str, Begin]:
    """Of each action of a document: those that were there before keep theirs."""
    return {action["id"]: known.get(action["id"], begin) for action in document.get("actions") or ()}


def _next_version(entry: Entry) -> Entry:
    return msgspec.structs.replace(entry, version=entry.version + 1, revision=0)


def _above(new: Entry | None, old: Entry | None, known: tuple[int, int]) -> Entry | None:
    """The change in a version that evaluators take note of, and so its actions, where they changed; also no change,
    where what they know is not what stands."""
    version, actions = known
    behind = old is None or old.version < version
    if new is None:
        if old is None or not old.exists or not (behind or old.actions_version < actions):
            return None
        new = msgspec.structs.replace(old, updated_at=_now_ms())
    if new.version <= version and (old is None or behind or new.version != old.version):
        new = msgspec.structs.replace(new, version=version + 1, revision=0)
    before = hidden_document(old.document) if old is not None else None
    if hidden_document(new.document) != before or new.actions_version < actions:
        new = msgspec.structs.replace(new, actions_version=max(new.actions_version, actions) + 1)
    return new


def _unheard(state: Definitions, entry: Entry) -> bool:
    """Whether a partition does not know an entry, or its actions, as they are."""
    if _version_in(state, entry.segment) < entry.version:
        return True
    return _version_in(state, hidden_id(entry.segment)) < entry.actions_version


def _age(entry: Entry) -> tuple[int, int]:
    return entry.version, entry.actions_version


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
