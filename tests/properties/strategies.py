"""Random worlds: a stage, segments over the whole language, a log, and an instant at which to stop."""

from __future__ import annotations

from dataclasses import dataclass
from pprint import pformat
from typing import Any

from hypothesis import strategies as st

from rules.language import parse_document
from rules.language.documents import Segment
from tests.properties.documents import document_sets
from tests.properties.stages import Stage, Step, stages, steps, weighted, written
from tests.properties.streams import Log, streams


@dataclass(frozen=True)
class Play:
    """One random example. Its repr reads as documents and an event table."""

    stage: Stage
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


def _play(stage: Stage, documents: list[dict[str, Any]], log: Log, end: Step | None) -> Play:
    until = max(event.ts if stamp is None else stamp for event, stamp in log)
    ends = [Step(text) for text in stage.durations * 2] if end is None else [end]
    for step in ends:
        until = max(until, step.from_(until, stage.zone))
    return Play(stage, documents, log, until)


def plays(
    on: st.SearchStrategy[Stage] = stages, named: bool = False, most: int = 12, future: bool = True
) -> st.SearchStrategy[Play]:
    """`named`: every event has an id of its own, so that no event is a duplicate. `most`: events. `future`: some may
    come before their time."""
    nothing: st.SearchStrategy[Step | None] = st.none()
    return on.flatmap(
        lambda stage: st.builds(
            _play,
            st.just(stage),
            document_sets(stage),
            streams(stage, named, most, future),
            weighted((1, st.just(Step())), (4, nothing), (1, steps(stage, (1,)))),  # nothing: long after
        )
    )
