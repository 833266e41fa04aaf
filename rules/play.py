"""One partition in memory: the log's records go in, transitions come out. Replay, cases and tests run on it."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush

from rules.events import Event
from rules.plan import Plan
from rules.profile import CHANGED, SEQUENCE, Profile, new_profile
from rules.step import step, step_one
from rules.tally import Tally
from rules.times import NEVER
from rules.transitions import Transition, traced


class Partition:
    """The clock is the highest log timestamp fed so far. What falls due is done in order of time over all customers."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.clock = -NEVER
        self.profiles: dict[str, Profile] = {}
        self.tally = Tally()
        self._timers: list[tuple[int, str]] = []

    def feed(self, event: Event, log_ts: int | None = None) -> list[Transition]:
        """Reads one record (`log_ts` in ms, default its `ts`); returns what was due before it and what it changes."""
        self.clock = max(self.clock, event.ts if log_ts is None else log_ts)
        out = self._drain(self.clock)
        drained = len(out)
        profile = self.profiles.get(event.customer_id)
        if profile is None:
            profile = self.profiles[event.customer_id] = new_profile(event.customer_id)
        before = profile.wake
        step_one(profile, event, self.plan, self.clock, out, self.tally)
        if profile.wake < NEVER and profile.wake != before:
            heappush(self._timers, (profile.wake, event.customer_id))
        if event.traceparent and len(out) > drained:
            out[drained:] = traced(out[drained:], event)
        return out

    def run_to(self, until: int) -> list[Transition]:
        """Lets the clock run on to `until` (ms); what is due at `until` itself is done."""
        self.clock = max(self.clock, until)
        return self._drain(until + 1)

    def _drain(self, before: int) -> list[Transition]:
        out: list[Transition] = []
        timers = self._timers
        while timers and timers[0][0] < before:
            due, customer = heappop(timers)
            profile = self.profiles[customer]
            if profile.wake > due:
                if profile.wake < NEVER:
                    heappush(timers, (profile.wake, customer))
                continue
            _, changes, wake = step(profile, (), self.plan, profile.wake + 1)
            out += changes
            if wake < NEVER:
                heappush(timers, (wake, customer))
        return out

    def memberships(self) -> Iterator[tuple[str, str, int]]:
        """(customer, segment, since in ms) of all members."""
        for customer, profile in self.profiles.items():
            for segment, state in profile.members.items():
                if state[SEQUENCE] % 2 == 1:
                    yield customer, segment, state[CHANGED]
