"""The main property by seeds, many times faster than hypothesis: `python -m tests.properties.fuzz 0 20000 [events]`.

Each seed is one random world, of at most so many events (default 12). One in which evaluator and oracle differ is
made smaller and printed, with its seed, and the run goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

from rules.errors import SegmentInvalid
from rules.events import Event
from rules.play import Partition
from tests.oracle import Oracle, Outcome
from tests.properties.chooser import Seeded
from tests.properties.incremental import planned, run
from tests.properties.strategies import Play, play
from tests.properties.streams import Kind

EVERY = 1000  # seeds between two lines of progress


def both(world: Play) -> tuple[Outcome, Outcome]:
    """What the evaluator says and what the oracle says."""
    return run(Partition(planned(world)), world.log, world.until), Oracle(world.segments()).run(world.log, world.until)


def differs(world: Play) -> bool:
    """Whether the two disagree, or the evaluator fails."""
    try:
        segments = world.segments()
    except SegmentInvalid:
        return False
    by_definition = Oracle(segments).run(world.log, world.until)
    try:
        return run(Partition(planned(world)), world.log, world.until) != by_definition
    except Exception:
        return True


def smaller(world: Play) -> Iterator[Play]:
    """The same world with one thing less."""
    for place in reversed(range(len(world.documents))):
        yield replace(world, documents=world.documents[:place] + world.documents[place + 1 :])
    for place in range(len(world.log)):
        yield replace(world, log=world.log[:place] + world.log[place + 1 :])
    for place, document in enumerate(world.documents):
        for less in _without_a_part(document):
            yield replace(world, documents=[*world.documents[:place], less, *world.documents[place + 1 :]])
    for place, (event, stamp) in enumerate(world.log):
        if stamp is not None:
            yield replace(world, log=[*world.log[:place], (event, None), *world.log[place + 1 :]])
        for less in _without_a_part(event.properties):
            changed = Event(event.type, event.customer_id, event.ts, event.id, less, event.rank)
            yield replace(world, log=[*world.log[:place], (changed, stamp), *world.log[place + 1 :]])


def _without_a_part(value: Any) -> Iterator[Any]:
    """A mapping or list without one of its parts, at any depth, or with a condition in the place of its parent."""
    if isinstance(value, dict | list):
        places: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value)))
        for place in places:
            less = deepcopy(value)
            del less[place]
            yield less
            for inner in _without_a_part(value[place]):
                changed: Any = deepcopy(value)
                changed[place] = inner
                yield changed
        for child in value.values() if isinstance(value, dict) else value:
            yield from child if isinstance(child, list) else [child] if isinstance(child, dict) else []


def smallest(world: Play) -> Play:
    """A world that still differs, and of which nothing can be left out."""
    for less in smaller(world):
        if (less.log or not world.log) and _sound(less) and differs(less):
            return smallest(less)
    return world


def _sound(world: Play) -> bool:
    """Whether a made-smaller world is still one that could come: memberships keep their shape."""
    orders = [event.properties for event, _ in world.log if event.type == "membership"]
    return bool(world.log and world.documents) and all("segment" in each and "action" in each for each in orders)


def main(first: int, last: int, most: int = 12) -> int:
    found = 0
    for seed in range(first, last):
        world = play(Seeded(seed), kind=Kind(most=most))
        if differs(world):
            found += 1
            print(f"seed {seed}:\n{report(smallest(world))}\n", flush=True)
        if (seed - first) % EVERY == EVERY - 1:
            print(f"{seed - first + 1} worlds, {found} differ", flush=True)
    return 1 if found else 0


def report(world: Play) -> str:
    try:
        got, expected = both(world)
    except Exception as error:
        return f"{world!r}\n  fails: {error!r}"
    return f"{world!r}\n  got      {got}\n  expected {expected}"


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
