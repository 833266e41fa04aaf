"""All lines of one relay: what waits of every partition, and how much that is together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import structlog

from consumers.log.port import Offset
from consumers.relay.line import Cut, Line
from consumers.relay.metrics import Metrics
from consumers.state.commit import OutboxEntry

_log = structlog.get_logger("relay")


class Lines:
    """By partition. `held`: transitions in memory; `backlog`: committed and not published; of all lines together.

    These two are asked many times a round, so they are kept, not summed up: whoever changes a line otherwise than by
    the calls here has them `recount`ed.
    """

    def __init__(self, metrics: Metrics) -> None:
        self.held = self.backlog = 0
        self._metrics = metrics
        self._lines: dict[int, Line] = {}
        self._lost: list[int] = []
        self._turn = 0  # the line that is cut first

    def __iter__(self) -> Iterator[Line]:
        return iter(list(self._lines.values()))

    def get(self, partition: int) -> Line | None:
        return self._lines.get(partition)

    def holds(self, line: Line) -> bool:
        return self._lines.get(line.partition) is line

    def put(self, line: Line) -> None:
        self._lines[line.partition] = line
        self.recount()

    def drop(self, partitions: Iterable[int]) -> None:
        """These are nobody's here any more."""
        for partition in partitions:
            if self._lines.pop(partition, None) is not None:
                self._metrics.relay_lag(partition, 0)
        self.recount()

    def lose(self, line: Line) -> None:
        """Another's, as it turned out: the evaluator is told."""
        if self.holds(line):
            _log.warning("the partition is another relay's", partition=line.partition)
            self._lost.append(line.partition)
            self.drop([line.partition])

    def forget_lost(self, partition: int) -> None:
        """It is taken anew."""
        self._lost = [each for each in self._lost if each != partition]

    def take_lost(self) -> list[int]:
        """Those lost since the last call."""
        lost, self._lost = self._lost, []
        return lost

    def recount(self) -> None:
        self.held = sum(line.held for line in self._lines.values())
        self.backlog = sum(line.backlog for line in self._lines.values())

    def report(self) -> None:
        for line in self._lines.values():
            self._metrics.relay_lag(line.partition, line.backlog)

    # -- what comes in, what goes out ---------------------------------------------------------------------------------

    def offer(self, partition: int, commit: int, position: Offset, transitions: Sequence[bytes], held_max: int) -> None:
        """See `Line.offer`; what is more than `held_max` together is read from the outbox when its turn comes."""
        line = self._lines.get(partition)
        if line is None:
            return
        before = line.held
        line.offer(commit, position, transitions, room=self.held + len(transitions) <= held_max)
        self.held += line.held - before
        self.backlog += len(transitions)

    def read(self, line: Line, entries: Iterable[tuple[int, OutboxEntry]], asked: int, last: int) -> int:
        """See `Line.read`."""
        missing = line.read(entries, asked, last)
        self.recount()
        return missing

    def cut(self, transitions_max: int, bytes_max: int) -> list[tuple[Line, Cut]]:
        """What goes into the next transaction: of all lines, beginning with another one each time."""
        lines = [self._lines[each] for each in sorted(self._lines)]
        self._turn += 1
        cuts = []
        for at in range(len(lines)):
            line = lines[(self._turn + at) % len(lines)]
            if transitions_max > 0 and bytes_max > 0 and line.held:
                cut = line.cut(transitions_max, bytes_max)
                transitions_max -= cut.handled
                bytes_max -= cut.size
                cuts.append((line, cut))
        return cuts

    def advance(self, cuts: Sequence[tuple[Line, Cut]], now: float) -> None:
        """What was cut is published, or left out. `now`: steady seconds."""
        for line, cut in cuts:
            line.advance(cut, now)
        self.recount()
