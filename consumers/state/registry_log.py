"""The segments as the log tells them: what the registry is restored from when it is lost."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import orjson
import yaml

from consumers.log.port import START, Log, Offset, Record
from consumers.state.registry import Entry
from rules.errors import EventRejected, SegmentInvalid
from rules.hidden import is_hidden, parse_definition, segment_of
from rules.language import load_yaml
from rules.records import DefinitionRecord, decode_record

_CHUNK = 5_000
_MARK = b"definition"  # in every definition record, and in hardly any other


async def read_entries(
    log: Log, until: Offset, progress: Callable[[int], None], partition: int = 0
) -> dict[str, Entry]:
    """The newest definition of each segment that a partition's log has up to an offset, deleted ones too.

    (Each is written to every partition.) Their authors' own text is not in the log: it is YAML of the same meaning.
    `progress`: of so many records. Raises Unavailable.
    """
    entries: dict[str, Entry] = {}
    actions: dict[str, DefinitionRecord] = {}
    position = START
    while position < until:
        records = await log.reread(partition, position, _CHUNK)
        if not records:
            break
        for record in records:
            if _MARK in record.payload and (definition := _definition(record)) is not None:
                if is_hidden(definition.segment):
                    _take_actions(actions, definition)
                else:
                    _take(entries, definition, record.timestamp_ms)
        position = records[-1].offset
        progress(len(records))
    return {name: _with_actions(entry, actions.get(name)) for name, entry in entries.items()}


def _definition(record: Record) -> DefinitionRecord | None:
    """None for any other record, and for what evaluators refuse."""
    try:
        found = decode_record(record.payload, record.timestamp_ms)
        if not isinstance(found, DefinitionRecord) or found.activate:
            return None
        if found.state != "deleted" and parse_definition(found.document).id != found.segment:
            return None
    except (EventRejected, SegmentInvalid):
        return None
    return found


def _take(entries: dict[str, Entry], found: DefinitionRecord, at_ms: int) -> None:
    """A version that is not newer counts for nothing, here as with evaluators."""
    old = entries.get(found.segment)
    if old is not None and found.version <= old.version:
        return
    document = found.document if found.document is not None and found.state != "deleted" else {}
    text, media_type = _written(document) if document else ("", old.media_type if old else "application/yaml")
    created_at = old.created_at if old is not None and old.exists else at_ms
    entries[found.segment] = Entry(
        found.segment, found.version, found.state, document, text, media_type, created_at, at_ms, found.version
    )


def _take_actions(actions: dict[str, DefinitionRecord], found: DefinitionRecord) -> None:
    """The same for what evaluators are told of a segment's actions."""
    segment = segment_of(found.segment)
    if segment not in actions or found.version > actions[segment].version:
        actions[segment] = found


def _with_actions(entry: Entry, found: DefinitionRecord | None) -> Entry:
    """The segment with its actions. Their number stands for that of its edits, which nobody remembers."""
    if found is None:
        return entry
    heard = msgspec.structs.replace(entry, actions_version=found.version, actions_published=found.version)
    if not entry.exists or found.document is None or found.state == "deleted":
        return heard
    document = {**entry.document, "actions": found.document["actions"]}
    text, media_type = _written(document)
    return msgspec.structs.replace(heard, document=document, text=text, media_type=media_type, revision=found.version)


def _written(document: dict[str, object]) -> tuple[str, str]:
    """As text, and its media type."""
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
    try:
        if load_yaml(text) == document:
            return text, "application/yaml"
    except SegmentInvalid:
        pass
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode(), "application/json"
