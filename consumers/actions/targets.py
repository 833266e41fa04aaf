"""All actions as targets of deliveries: watched, and their runs begun when they are due."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

import structlog

from consumers.actions.calling import Caller, Profiles
from consumers.actions.conditions import Conditions
from consumers.actions.runs import Runs
from consumers.actions.settings import Settings
from consumers.actions.store import Counts, RunTimes
from consumers.actions.target import ActionTarget, Spec, specs_of
from consumers.clock import SYSTEM_CLOCK, Clock
from consumers.connectors.port import Connectors
from consumers.delivery.jobs import Jobs
from consumers.delivery.port import Outcome, Target
from consumers.state.entries import Entry
from consumers.state.keys import REVISION
from consumers.state.registry import Registry
from consumers.state.store import Store
from rules.errors import SegmentInvalid, Unavailable
from rules.language import parse_document

_log = structlog.get_logger("actions")

_AGAIN_S = 1.0  # after the store was away


class ActionTargets:
    """A `Targets` (consumers/delivery/port.py): one for every action of every segment."""

    def __init__(
        self,
        store: Store,
        registry: Registry,
        profiles: Profiles,
        connectors: Connectors,
        jobs: Jobs,
        partitions: int,
        *,
        settings: Settings | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.changed = asyncio.Event()
        self._store, self._registry, self._connectors = store, registry, connectors
        self._settings, self._clock = settings or Settings(), clock
        conditions = Conditions(store, partitions, clock, self._settings)
        self._caller = Caller(profiles, conditions, Counts(store, partitions), clock, self._settings)
        self._times = RunTimes(store)
        self._runs = Runs(jobs, self._times, clock)
        self._current: dict[str, ActionTarget] = {}
        self._revision: int | None = None
        self._looked = float("-inf")
        self._watching: asyncio.Task[None] | None = None

    @property
    def current(self) -> Mapping[str, Target]:
        return self._current

    async def start(self) -> None:
        """Raises Unavailable."""
        await self.look()
        self._watching = asyncio.create_task(self._watch(), name="actions")

    async def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
            self._watching = None

    async def ended(self, target_id: str, outcome: Outcome) -> None:
        """Nothing is disabled here: a call that fails is tried again, and then listed."""

    async def look(self) -> None:
        """Reads what changed, and begins the runs that are due. Raises Unavailable."""
        revision = int(await self._store.call("GET", REVISION) or 0)
        if revision != self._revision:
            snapshot = await self._registry.snapshot()
            await self._take(snapshot.entries)
            self._revision = snapshot.revision
        now = self._clock.monotonic()
        if now - self._looked >= self._settings.runs_s:
            await self._runs.look([target.spec for target in self._current.values()])
            self._looked = now

    async def _take(self, entries: Mapping[str, Entry]) -> None:
        current: dict[str, ActionTarget] = {}
        for entry in entries.values():
            for spec in _specs(entry):
                known = self._current.get(spec.target)
                same = known is not None and known.spec == spec
                current[spec.target] = known if known is not None and same else self._made(spec)
        for gone in self._current.keys() - current.keys():
            await self._times.forget(gone)
        self._current = current
        self.changed.set()

    def _made(self, spec: Spec) -> ActionTarget:
        if self._connectors.find(spec.action.use) is None:
            _log.error("no such connector's call here", use=spec.action.use, segment=spec.segment)
        return ActionTarget(spec, self._connectors, self._caller)

    async def _watch(self) -> None:
        while True:
            try:
                await self.look()
                await asyncio.sleep(self._settings.poll_s)
            except Unavailable as error:
                await asyncio.sleep(max(_AGAIN_S, error.retry_after_s))
            except Exception as error:  # one action that cannot be looked at must not hide the others' changes
                _log.error("actions could not be looked at", exc_info=error)
                await asyncio.sleep(_AGAIN_S)


def _specs(entry: Entry) -> list[Spec]:
    """The actions of a segment, which were checked when they were taken (perhaps by a version that knew more)."""
    try:
        found = parse_document(entry.document)
    except SegmentInvalid as error:
        _log.error("the actions of a segment cannot be read", segment=entry.segment, reason=str(error))
        return []
    return specs_of(entry, found.actions, found.timezone)
