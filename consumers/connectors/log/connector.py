"""A connector whose calls are events in the log, written once: their ids follow from the calls' keys.

What it writes may set off other actions, and these again others. So every such event carries its `hops`, the actions
that led to it; the ninth is refused with the names of all, and ends in the action's dead letters.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from consumers.clock import SYSTEM_CLOCK, Clock
from consumers.connectors.checks import check_templates
from consumers.connectors.log.words import Word
from consumers.connectors.port import Rendered, RenderFailed, Subject
from consumers.connectors.trees import compile_tree, render_tree
from consumers.connectors.variables import of_subject
from consumers.delivery.port import Done, Failed, Item, Outcome, Refused
from consumers.log.partition import partition_of
from consumers.log.port import Log, NewRecord
from rules.errors import EventRejected, Mistake, Unavailable
from rules.events import Event, check_event
from rules.language.draft import join
from rules.language.hints import unknown
from rules.limits import HOPS_MAX
from rules.records import encode_event
from rules.times import format_instant

_BATCH_MAX = 100
_CONCURRENCY = 4


class LogConnector:
    """See `consumers.connectors.port.Connector`. Each event is a record of the customer's own partition."""

    def __init__(self, name: str, words: Mapping[str, Word], log: Log, clock: Clock = SYSTEM_CLOCK) -> None:
        self.name = name
        self.calls: Sequence[str] = tuple(words)
        self._words, self._log, self._clock = words, log, clock

    def batch_max(self, call: str) -> int:
        return _BATCH_MAX

    def concurrency(self, call: str) -> int:
        return _CONCURRENCY

    def check(self, call: str, with_: Mapping[str, Any], at: str, *, both_ways: bool = False) -> list[Mistake]:
        word, use = self._words[call], f"{self.name}.{call}"
        found = []
        if both_ways and word.back is None:
            found.append(Mistake(f"{at}.use", f"`{use}` cannot take back what it did, which `on: member` needs"))
        for key in with_:
            if key not in word.keys:
                found.append(Mistake(join(f"{at}.with", key), unknown(f"parameter of `{use}`", key, word.keys)))
        for key in word.needs:
            if key not in with_:
                found.append(Mistake(f"{at}.with.{key}", f"`{use}` needs `{key}`"))
        return found + check_templates(with_, f"{at}.with")

    async def call(
        self, call: str, with_: Mapping[str, Any], subjects: Sequence[Subject], keys: Sequence[str]
    ) -> Sequence[Outcome]:
        outcomes: list[Outcome] = []
        records: list[NewRecord] = []
        for subject, key in zip(subjects, keys, strict=True):
            try:
                event = self._event(call, with_, subject, key)
            except RenderFailed as error:
                outcomes.append(Refused(error.why))
                continue
            outcomes.append(Done(f"{event.type} {event.id}"))
            home = partition_of(event.customer_id, self._log.partitions)
            records.append(NewRecord(home, encode_event(event), event.customer_id))
        try:
            if records:
                await self._log.append(records)
        except Unavailable as error:
            away = Failed(f"the log is away: {error.why}", retry_after_s=error.retry_after_s)
            return [away if isinstance(each, Done) else each for each in outcomes]
        return outcomes

    def render(
        self, call: str, with_: Mapping[str, Any], subjects: Sequence[Subject], keys: Sequence[str]
    ) -> Sequence[Rendered]:
        found = []
        for subject, key in zip(subjects, keys, strict=True):
            event = self._event(call, with_, subject, key)
            body = orjson.dumps(orjson.loads(encode_event(event)), option=orjson.OPT_INDENT_2).decode()
            found.append(Rendered("LOG", event.type, {}, body, [event.customer_id]))
        return found

    async def close(self) -> None:
        """The log is its owner's to close."""

    def _event(self, call: str, with_: Mapping[str, Any], subject: Subject, key: str) -> Event:
        """Raises RenderFailed."""
        word, now = self._words[call], self._clock.now_ms()
        write = word.back if subject.direction == "remove" else word.write
        assert write is not None, "checked when the action was taken"
        raw = {
            "id": _event_id(subject.item, key),
            "type": word.event,
            "customer_id": subject.item.customer_id,
            "ts": format_instant(now),
            "properties": write(
                _rendered(with_, subject, key, now), now, str(subject.segment.get("timezone") or "UTC")
            ),
            "hops": _hops(subject, key),
        }
        try:
            return check_event(raw, now)
        except EventRejected as error:
            raise RenderFailed(f"writes no good event: {error}") from None


def _rendered(with_: Mapping[str, Any], subject: Subject, key: str, now_ms: int) -> Mapping[str, Any]:
    wrong: list[str] = []
    tree = compile_tree(dict(with_), "with", lambda at, message: wrong.append(f"{at}: {message}"))
    if wrong:
        raise RenderFailed("; ".join(wrong))
    rendered: Mapping[str, Any] = render_tree(tree, of_subject(subject, key, now_ms))
    return rendered


def _event_id(item: Item, key: str) -> str:
    """The same for the same call. Of two in one millisecond the one of the later membership is the last writer."""
    return f"act-{item.sequence:08d}-{hashlib.sha256(key.encode()).hexdigest()[:40]}"


def hops_of(item: Item) -> list[str]:
    """The actions that led to what an item tells."""
    said = orjson.loads(item.data)
    source = said.get("event") if item.kind == "event" else said.get("data")
    hops = source.get("hops") if isinstance(source, dict) else None
    return [str(hop) for hop in hops] if isinstance(hops, list) else []


def _hops(subject: Subject, key: str) -> list[str]:
    """Those, and this action, whose name the key begins with."""
    mine = f"{subject.segment['id']}/{key.partition(':')[0]}"
    hops = [*hops_of(subject.item), mine]
    if len(hops) > HOPS_MAX:
        raise RenderFailed(f"actions set one another off in a ring, cut after {HOPS_MAX}: {' -> '.join(hops)}")
    return hops
