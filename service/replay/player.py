"""Plays a recording: the same `step` as live, one partition, the log's time is the events'."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from rules.errors import EventRejected
from rules.play import Partition
from rules.transitions import Transition
from service.replay.recordings import Recording

BAD_TOLD_MAX = 20
SHOW_EVERY = 1000  # events between two looks at the progress


@dataclass
class Played:
    """What came of it. `at`: the instant it was played up to (ms), None where there was no event and none was asked."""

    events: int = 0
    at: int | None = None
    bad: list[str] = field(default_factory=list)
    bad_total: int = 0
    stopped: bool = False  # at an event past the end asked for
    entered: Counter[str] = field(default_factory=Counter)
    exited: Counter[str] = field(default_factory=Counter)

    @property
    def transitions(self) -> int:
        return self.entered.total() + self.exited.total()


def play(
    recording: Recording,
    name: str,
    partition: Partition,
    at: int | None,
    write: Callable[[Transition], None],
    show: Callable[[int], None],
) -> Played:
    """Feeds the recording to the partition up to `at` (None: the highest `ts`); `write` gets every change in order.

    Bad records are counted and left out; `show` gets the number of events now and then. Raises Unreadable.
    """
    played = Played(at=at)
    highest: int | None = None
    for place, record in recording.records():
        try:
            event, log_ts = recording.decode(record)
        except EventRejected as error:
            played.bad_total += 1
            if len(played.bad) < BAD_TOLD_MAX:
                played.bad.append(f"{name}:{place}: {error}")
            continue
        when = event.ts if log_ts is None else log_ts
        if at is not None and when > at:
            played.stopped = True
            break
        highest = max(event.ts, when) if highest is None else max(highest, event.ts, when)
        _note(played, partition.feed(event, log_ts), write)
        played.events += 1
        if played.events % SHOW_EVERY == 0:
            show(played.events)
    played.at = highest if at is None else at
    if played.at is not None:
        _note(played, partition.run_to(played.at), write)
    return played


def _note(played: Played, changes: Iterable[Transition], write: Callable[[Transition], None]) -> None:
    for change in changes:
        (played.entered if change.entered else played.exited)[change.segment] += 1
        write(change)
