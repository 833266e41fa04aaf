"""Runs over all members: by calendar (`on: {every: ...}`), each due instant once however many processes look."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from consumers.actions.store import RunTimes
from consumers.actions.target import Spec
from consumers.clock import Clock
from consumers.delivery.jobs import Jobs
from rules.actions import Every
from rules.schedules import latest_run


def run_id(segment: str, action: str, which: str) -> str:
    """A run's name: also in the keys of its calls. `which` tells it from the action's other runs."""
    return f"{segment}.{action}.{which}"


def calendar_run_id(segment: str, action: str, at_ms: int) -> str:
    """The same for the same instant, so that the run is begun once.

    >>> calendar_run_id("vip", "monthly", 1_795_165_200_000)
    'vip.monthly.20261120T090000Z'
    """
    return run_id(segment, action, datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y%m%dT%H%M%SZ"))


class Runs:
    """Begins runs that are due. Of those that nobody was there to begin, only the newest is made up for."""

    def __init__(self, jobs: Jobs, times: RunTimes, clock: Clock) -> None:
        self._jobs, self._times, self._clock = jobs, times, clock

    async def look(self, specs: Sequence[Spec]) -> None:
        """Begin what is due by now. What was due while the segment was paused is passed over. Raises Unavailable."""
        every = [(spec, spec.action.on) for spec in specs if isinstance(spec.action.on, Every)]
        begun = await self._times.last([spec.target for spec, _ in every])
        now = self._clock.now_ms()
        for (spec, on), last in zip(every, begun, strict=True):
            due = latest_run(now, on, spec.timezone)
            if due <= max(last, spec.since_ms):
                continue
            if spec.active:
                name = calendar_run_id(spec.segment, spec.action.id, due)
                await self._jobs.start("run", spec.target, job_id=name, segment=spec.segment, by="calendar")
            await self._times.begun(spec.target, due)
