"""What a partition knows of the segments' definitions, kept with its state: a restart goes on where it was."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from consumers.log.port import Offset
from rules.plan import Definition, Plan, compile_plan


class Stage(msgspec.Struct, frozen=True):
    """An edition that somebody may still have to be judged by: what changed, at which clock (ms).

    `collecting`: what it folds besides, for definitions that wait. A collection begins as an edition that changes
    nothing else, so that what was due before it is folded as it was then.
    """

    edition: int
    at: int
    changed: list[Definition]
    collecting: list[Definition] = []


class Collection(msgspec.Struct, frozen=True):
    """Definitions that wait for the log to be read again, from its start to the record `until`, for what nobody asked
    before. `at`: the clock (ms) at that record. `first_ms`: the oldest log timestamp found, once it is read."""

    definitions: list[Definition]
    until: Offset
    at: int
    first_ms: int | None = None


class Note(msgspec.Struct, frozen=True):
    """A segment as last heard of. `edition`: the one that brought it into force. `history_from`: see `reads`."""

    version: int
    state: Literal["active", "paused", "deleted"]
    edition: int
    history_from: int | None = None


class Definitions(msgspec.Struct):
    """`base` is what every customer was judged by (edition `edition`, in force from clock `at`); `stages` came since.

    While a collection is under way, definitions queue up behind it and take effect with its end.
    """

    base: dict[str, Definition] = {}
    edition: int = 0
    at: int = 0
    base_collecting: list[Definition] = []  # what the base folds besides
    stages: list[Stage] = []
    collecting: Collection | None = None
    queued: list[Definition] = []
    notes: dict[str, Note] = {}
    history: dict[int, int] = {}  # features that were collected later: key (of `missing_features`) -> from when (ms)

    @property
    def newest(self) -> int:
        """The edition in force."""
        return self.stages[-1].edition if self.stages else self.edition

    @property
    def newest_at(self) -> int:
        return self.stages[-1].at if self.stages else self.at

    def in_force(self) -> dict[str, Definition]:
        """The definitions of the newest edition, deleted ones too until all have left."""
        merged = dict(self.base)
        for stage in self.stages:
            merged.update(by_segment(stage.changed))
        return merged


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Definitions)


def encode(definitions: Definitions) -> bytes:
    return _encoder.encode(definitions)


def decode(data: bytes | None) -> Definitions:
    """The inverse; without data the partition has never heard of any."""
    return _decoder.decode(data) if data else Definitions()


def by_segment(definitions: Iterable[Definition]) -> dict[str, Definition]:
    return {each.segment: each for each in definitions}


def compile_newest(state: Definitions) -> Plan:
    """The plan in force alone, without its history: enough to explain, not to judge older profiles."""
    return compile_plan(state.in_force().values(), state.newest, state.newest_at)


def compile_editions(state: Definitions) -> Plan:
    """The plan in force with every older edition that is still needed behind it, and what it collects."""
    merged = dict(state.base)
    plan = compile_plan(merged.values(), state.edition, state.at, collecting=state.base_collecting)
    for stage in state.stages:
        merged.update(by_segment(stage.changed))
        changed = frozenset(each.segment for each in stage.changed)
        plan = compile_plan(merged.values(), stage.edition, stage.at, plan, changed, stage.collecting)
    return plan
