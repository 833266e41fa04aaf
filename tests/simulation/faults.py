"""What goes wrong in one run, drawn from its seed, and how often each kind really happened."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from rules.errors import SegmentdError, Unavailable
from tests.simulation.loop import PROCESS, VirtualLoop

T = TypeVar("T")

FATES = ("request lost", "reply lost", "late request", "sent twice", "slow")
"""What may become of one request: not done; done, and nobody hears of it; done after its sender gave up; done twice
(the second answer counts); done, slowly."""

FATES_ONCE = tuple(fate for fate in FATES if fate != "sent twice")
"""Where a producer numbers what it sends, as Kafka's idempotent ones do."""

SERVERS = ("store", "log", "topic")
_GIVES_UP_S = (0.05, 0.3, 2.0, 12.0)


class Faults:
    """Each run knows only some of the kinds (swarm testing), each with a rate of its own."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.active = True
        self.happened: Counter[str] = Counter()
        self._rates = {
            f"{server}: {fate}": rng.choice([0.0, 0.003, 0.01, 0.03]) for server in SERVERS for fate in FATES
        }

    def rate(self, kind: str, *rates: float) -> None:
        """A kind of fault that is met by chance, at one of these rates (drawn now)."""
        self._rates[kind] = self.rng.choice(rates)

    def strikes(self, kind: str) -> bool:
        """Whether it happens now; counted."""
        rate = self._rates.get(kind, 0.0)
        if not (self.active and rate) or self.rng.random() >= rate:
            return False
        self.happened[kind] += 1
        return True

    def lag(self) -> float:
        """Seconds that a computation takes at this moment: mostly none."""
        return self.rng.random() * 0.02 if self.strikes("a busy machine") else 0.0


class Network:
    """Requests to the servers, and what becomes of them. What has been sent arrives though its sender be dead."""

    def __init__(self, loop: VirtualLoop, faults: Faults, fail: Callable[[BaseException], None]) -> None:
        self.loop, self.faults, self.fail = loop, faults, fail
        self.down: set[str] = set()
        self._connections = dict.fromkeys(SERVERS, 0)

    def cut(self, server: str, seconds: float) -> None:
        """The server is away for so long."""
        self.faults.happened[f"{server}: outage"] += 1
        self.down.add(server)
        self.loop.outside(seconds, self.down.discard, server)

    def break_off(self, server: str) -> None:
        """Another server stands in for it: what was on its way never arrives."""
        self._connections[server] += 1

    async def ask(self, server: str, serve: Callable[[], T]) -> T:
        """Have a server do something. Raises Unavailable (it may be done, or be done yet), and what `serve` raises."""
        process = PROCESS.get()
        future = self.loop.create_future()
        if process is not None and not process.alive:
            await future  # the dead say nothing
        if server in self.down:
            await self._pause()
            raise Unavailable(f"the {server} is away")
        connection = self._connections[server]
        fates = FATES if server != "topic" else FATES_ONCE
        fate = next((each for each in fates if self.faults.strikes(f"{server}: {each}")), "")
        rng = self.faults.rng
        there = 0.0002 + rng.random() * (1.5 if fate == "slow" else 0.004)
        give_up = there + rng.choice(_GIVES_UP_S) * (0.5 + rng.random())
        if fate in ("request lost", "reply lost", "late request"):
            self.loop.outside(give_up, _lost, future, server)
        if fate == "late request":
            there = give_up + rng.choice((0.001, 0.5, 5.0)) * rng.random()
        if fate == "sent twice":
            self.loop.outside(there / 2, self._arrive, server, connection, serve, None)
        if fate != "request lost":
            heard = None if fate in ("reply lost", "late request") else future
            self.loop.outside(there, self._arrive, server, connection, serve, heard)
        return await future  # type: ignore[no-any-return]

    async def _pause(self) -> None:
        future = self.loop.create_future()
        self.loop.outside(0.001 + self.faults.rng.random() * 0.1, _tell, future, None, None)
        await future

    def _arrive(self, server: str, connection: int, serve: Callable[[], T], future: object | None) -> None:
        if server in self.down or connection != self._connections[server]:
            if future is not None:
                self.loop.outside(0.01, _lost, future, server)
            return
        answer: T | None = None
        error: Exception | None = None
        try:
            answer = serve()
        except Exception as raised:
            error = raised
            if not isinstance(raised, SegmentdError):  # a mistake, of the service or of the simulation
                self.fail(raised)
        if future is not None:
            self.loop.outside(0.0002 + self.faults.rng.random() * 0.003, _tell, future, answer, error)


def _lost(future: object, server: str) -> None:
    _tell(future, None, Unavailable(f"no answer from the {server}"))


def _tell(future: object, answer: object, error: Exception | None) -> None:
    if future.done():  # type: ignore[attr-defined]
        return
    if error is None:
        future.set_result(answer)  # type: ignore[attr-defined]
    else:
        future.set_exception(error)  # type: ignore[attr-defined]
