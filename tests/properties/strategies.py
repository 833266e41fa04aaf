"""Random worlds: a stage, segments over the whole language, a log, and an instant at which to stop."""

from __future__ import annotations

from dataclasses import dataclass
from pprint import pformat
from typing import Any

from hypothesis import strategies as st

from rules.language import parse_document
from rules.language.documents import Segment
from tests.properties.chooser import Chooser, Drawn, pick
from tests.properties.documents import documents
from tests.properties.stages import STAGES, Stage, Step, step, written
from tests.properties.streams import Kind, Log, stream

ANY = Kind()


@dataclass(frozen=True)
class Play:
    """One random example. Its repr reads as documents and an event table."""

    zone: str
    documents: list[dict[str, Any]]
    log: Log
    until: int

    def segments(self) -> list[Segment]:
        return [parse_document(document) for document in self.documents]

    def __repr__(self) -> str:
        lines = [
            f"  {written(event.ts)} {'' if stamp is None else 'log ' + written(stamp)} {event.type} {event.customer_id}"
            f" id={event.id!r} {event.properties}"
            for event, stamp in self.log
        ]
        return "\n".join(["Play:", pformat(self.documents, width=118), *lines, f"  until {written(self.until)}"])


def play(c: Chooser, stages: tuple[Stage, ...] = STAGES, kind: Kind = ANY) -> Play:
    stage = pick(c, *stages)
    rules, log = documents(c, stage), stream(c, stage, kind)
    end = max(event.ts if stamp is None else stamp for event, stamp in log)
    long_after = [Step(text) for text in stage.durations * 2]
    for each in pick(c, [], long_after, long_after, [step(c, stage)]):
        end = max(end, each.from_(end, stage.zone))
    return Play(stage.zone, rules, log, end)


@st.composite
def plays(draw: st.DrawFn, kind: Kind = ANY, stages: tuple[Stage, ...] = STAGES) -> Play:
    return play(Drawn(draw), stages, kind)
