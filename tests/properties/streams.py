"""Random event streams: few customers, instants that collide, late and repeated events, events from the future."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from hypothesis import strategies as st

from rules.events import Event
from tests.properties.documents import EVENTS, NAMES, SCALARS, TAGS, pick
from tests.properties.stages import Stage, Step, dates, instants, steps, weighted, written

Log = list[tuple[Event, int | None]]

AMOUNTS: tuple[Any, ...] = (1, 50, 100, 33.3, 0.1, 0.2, 2, -5, "100", None, True, 150.25, 0.0000005, 0.0000015, [100])
ITEM_PRICES: tuple[Any, ...] = (1, 50, 0.1, 33.3333335, "50", None)
LABELS: tuple[Any, ...] = (["red"], [], ["a", 1], "red", [True, "e", "x"])


def optional(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keys)


item = optional(
    product_id=pick("red", "p1", 1),
    category=pick("red", "blue"),
    price=st.sampled_from(ITEM_PRICES),
    quantity=pick(1, 2, 0.5),
)
items = weighted((5, st.lists(item, min_size=1, max_size=3)), (1, pick([], "none", 5)))


@cache
def properties(stage: Stage) -> st.SearchStrategy[dict[str, Any]]:
    amounts = st.sampled_from(AMOUNTS)
    return optional(
        amount=amounts,
        n=amounts,
        color=st.sampled_from((*SCALARS, None)),
        detail=optional(size=st.sampled_from(SCALARS)),
        labels=st.sampled_from(LABELS),
        when=st.one_of(dates(stage), instants(stage), pick("soon")),
        items=items,
    )


@cache
def profiles(stage: Stage) -> st.SearchStrategy[dict[str, Any]]:
    written_dates = st.one_of(dates(stage), instants(stage), pick("someday", None, 5))
    values = {
        "color": st.sampled_from((*SCALARS, None)),
        "score": pick(1, 2.5, 50, "2"),
        "labels": st.sampled_from(LABELS),
        "home": st.one_of(optional(city=st.sampled_from(SCALARS)), pick("x")),
        "birth": written_dates,
        "renews": written_dates,
    }
    removed = st.lists(st.sampled_from(sorted(values)), min_size=1, max_size=2, unique=True)
    tagged = st.lists(st.sampled_from(TAGS), min_size=1, max_size=2, unique=True)
    parts = optional(set=optional(**values), unset=removed, tags_add=tagged, tags_remove=tagged)
    return parts.map(_without_contradiction)


def _without_contradiction(properties: dict[str, Any]) -> dict[str, Any]:
    """One event that both sets and unsets the same is nobody's meaning."""
    result = dict(properties)
    if "unset" in result:
        result["unset"] = [name for name in result["unset"] if name not in result.get("set", {})]
    if "tags_remove" in result:
        result["tags_remove"] = [tag for tag in result["tags_remove"] if tag not in result.get("tags_add", [])]
    return result


@dataclass(frozen=True)
class Draft:
    """An event before its time is known: it lies a step from an earlier one's time."""

    anchor: int
    step: Step
    customer_id: str
    type: str
    id: str
    properties: Any
    lag: Step | None  # the log timestamp's distance from `ts`; None: none given
    lasts: Step | None = None  # of a membership


@cache
def drafts(stage: Stage) -> st.SearchStrategy[Draft]:
    nothing: st.SearchStrategy[Step | None] = st.none()
    lags = weighted((7, nothing), (1, steps(stage)))
    plain = st.tuples(pick(EVENTS[0], EVENTS[1], *EVENTS), properties(stage), st.none())
    profile = st.tuples(st.just("profile"), profiles(stage), st.none())
    order = st.fixed_dictionaries(
        {"segment": st.sampled_from((*NAMES, "elsewhere")), "action": pick("add", "remove", "clear")}
    )
    manual = st.tuples(st.just("membership"), order, st.none() | steps(stage))
    kinds = weighted((9, plain), (3, profile), (1, manual))
    return st.builds(
        lambda anchor, step, who, kind, name, lag: Draft(anchor, step, who, kind[0], name, kind[1], lag, kind[2]),
        st.integers(0, 7),
        steps(stage),
        pick("ana", "ana", "ana", "bob"),
        kinds,
        pick("", "", "a", "b", "c", "d", "e"),
        lags,
    )


def placed(stage: Stage, drawn: list[Draft], sort: bool, named: bool, future: bool) -> Log:
    """The events of a stream in log order. `sort`: in order of log time. `named`: every event has its own id.
    `future`: some may come before their time."""
    times = [stage.base]
    log: Log = []
    taken: dict[tuple[str, str, int], Event] = {}
    for line, draft in enumerate(drawn):
        ts = draft.step.from_(times[draft.anchor % len(times)], stage.zone)
        times.append(ts)
        identity = f"{draft.id or 'x'}{line}" if named else draft.id
        event = _event(stage, draft, ts, identity)
        if identity:
            # two different events of one id and instant have no order; the second is then the first, delivered again
            event = taken.setdefault((draft.customer_id, identity, ts), event)
        stamp = None if draft.lag is None else draft.lag.from_(ts, stage.zone)
        log.append((event, stamp if future or stamp is None else max(stamp, ts)))
    if sort:
        log.sort(key=lambda pair: pair[0].ts if pair[1] is None else pair[1])
    return [(_ranked(event, line), stamp) for line, (event, stamp) in enumerate(log)]


def _event(stage: Stage, draft: Draft, ts: int, identity: str) -> Event:
    properties = dict(draft.properties)
    if draft.lasts is not None:
        properties["until"] = written(draft.lasts.from_(ts, stage.zone))
    return Event(draft.type, draft.customer_id, ts, identity, properties)


def _ranked(event: Event, line: int) -> Event:
    rank = event.id or f"\U0010ffff{line:012d}"
    return Event(event.type, event.customer_id, event.ts, event.id, event.properties, rank)


@cache
def streams(stage: Stage, named: bool, most: int, future: bool) -> st.SearchStrategy[Log]:
    drawn = st.integers(1, most).flatmap(lambda size: st.lists(drafts(stage), min_size=size, max_size=size))
    late = pick(False, False, False, True)
    return st.builds(lambda drafts, late: placed(stage, drafts, not late, named, future), drawn, late)


__all__ = ["Draft", "Log", "streams"]
