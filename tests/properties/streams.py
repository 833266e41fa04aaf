"""Random event streams: few customers, instants that collide, late and repeated events, events from the future."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rules.events import Event
from tests.properties.chooser import Chooser, chance, pick, some, sometimes, weighted
from tests.properties.documents import EVENTS, NAMES, SCALARS, TAGS, Raw
from tests.properties.stages import Stage, day, instant, step, written

Log = list[tuple[Event, int | None]]

AMOUNTS: tuple[Any, ...] = (1, 50, 100, 33.3, 0.1, 0.2, 2, -5, "100", None, True, 150.25, 0.0000005, 0.0000015, [100])
PRICES: tuple[Any, ...] = (1, 50, 0.1, 33.3333335, "50", None)
LABELS: tuple[Any, ...] = (["red"], [], ["a", 1], "red", [True, "e", "x"])


@dataclass(frozen=True)
class Kind:
    """What a stream may hold. `named`: every event has an id of its own, so that none is a duplicate. `most`: events.
    `future`: some may come before their time."""

    named: bool = False
    most: int = 12
    future: bool = True


def item(c: Chooser) -> Raw:
    return {
        **sometimes(c, "product_id", 2, lambda: pick(c, "red", "p1", 1)),
        **sometimes(c, "category", 2, lambda: pick(c, "red", "blue")),
        **sometimes(c, "price", 2, lambda: pick(c, *PRICES)),
        **sometimes(c, "quantity", 2, lambda: pick(c, 1, 2, 0.5)),
    }


def items(c: Chooser) -> Any:
    return pick(c, [], "none", 5) if chance(c, 6) else [item(c) for _ in range(pick(c, 1, 2, 3))]


def properties(c: Chooser, stage: Stage) -> Raw:
    return {
        **sometimes(c, "amount", 2, lambda: pick(c, *AMOUNTS)),
        **sometimes(c, "n", 3, lambda: pick(c, *AMOUNTS)),
        **sometimes(c, "color", 2, lambda: pick(c, *SCALARS, None)),
        **sometimes(c, "detail", 3, lambda: sometimes(c, "size", 2, lambda: pick(c, *SCALARS))),
        **sometimes(c, "labels", 4, lambda: pick(c, *LABELS)),
        **sometimes(c, "when", 2, lambda: moment(c, stage)),
        **sometimes(c, "items", 2, lambda: items(c)),
    }


def moment(c: Chooser, stage: Stage) -> Any:
    return weighted(
        c,
        (4, lambda: day(c, stage)),
        (4, lambda: instant(c, stage)),
        (1, lambda: pick(c, "someday", None, 5, "2026-02-30")),
    )


def profile(c: Chooser, stage: Stage) -> Raw:
    """What one event both sets and unsets is nobody's meaning."""
    changed: Raw = {
        **sometimes(c, "color", 3, lambda: pick(c, *SCALARS, None)),
        **sometimes(c, "score", 3, lambda: pick(c, 1, 2.5, 50, "2")),
        **sometimes(c, "labels", 3, lambda: pick(c, *LABELS)),
        **sometimes(c, "home", 3, lambda: pick(c, {"city": "red"}, {"city": 1}, {}, "x")),
        **sometimes(c, "birth", 2, lambda: moment(c, stage)),
        **sometimes(c, "renews", 2, lambda: moment(c, stage)),
    }
    unset = [name for name in ("color", "birth", "home", "renews") if name not in changed and chance(c, 6)]
    added = some(c, TAGS, 2) if chance(c, 3) else []
    removed = [tag for tag in TAGS if tag not in added and chance(c, 6)]
    parts = {"set": changed, "unset": unset, "tags_add": added, "tags_remove": removed}
    return {key: value for key, value in parts.items() if value}


def event(c: Chooser, stage: Stage, ts: int, identity: str) -> Event:
    customer_id = pick(c, "ana", "ana", "ana", "bob")

    def plain() -> Event:
        return Event(pick(c, EVENTS[0], EVENTS[1], *EVENTS), customer_id, ts, identity, properties(c, stage))

    def manual() -> Event:
        order = {"segment": pick(c, *NAMES, "elsewhere"), "action": pick(c, "add", "remove", "clear")}
        order |= sometimes(c, "until", 2, lambda: written(step(c, stage).from_(ts, stage.zone)))
        return Event("membership", customer_id, ts, identity, order)

    return weighted(
        c, (9, plain), (3, lambda: Event("profile", customer_id, ts, identity, profile(c, stage))), (1, manual)
    )


def stream(c: Chooser, stage: Stage, kind: Kind) -> Log:
    """A log. Each event lies a step from an earlier one; mostly they come in order of log time."""
    times = [stage.base]
    log: Log = []
    taken: dict[tuple[str, str, int], Event] = {}
    late = chance(c, 4)
    for line in range(1 + c.below(kind.most)):
        ts = step(c, stage).from_(times[c.below(len(times))], stage.zone)
        times.append(ts)
        found = event(c, stage, ts, f"{pick(c, 'x', 'b', 'c')}{line}" if kind.named else pick(c, "", "", *"abcde"))
        if found.id:
            # two different events of one id and instant have no order; the second is then the first, delivered again
            found = taken.setdefault((found.customer_id, found.id, ts), found)
        stamp = step(c, stage).from_(ts, stage.zone) if chance(c, 8) else None
        log.append((found, stamp if stamp is None or kind.future else max(stamp, ts)))
    if not late:
        log.sort(key=lambda pair: pair[0].ts if pair[1] is None else pair[1])
    return [(ranked(each, line), stamp) for line, (each, stamp) in enumerate(log)]


def ranked(each: Event, line: int) -> Event:
    rank = each.id or f"\U0010ffff{line:012d}"
    return Event(each.type, each.customer_id, each.ts, each.id, each.properties, rank)
