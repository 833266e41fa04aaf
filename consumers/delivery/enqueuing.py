"""The jobs that are open, done chunk by chunk in every partition that a worker has: what they ask for is parked, and
how far they are is part of the same write."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

import msgspec
import structlog

from consumers.delivery.chunks import Chunk, Chunks
from consumers.delivery.holding import Holding, Tools
from consumers.delivery.jobs import END, Job, Jobs, Open
from consumers.delivery.mistakes import where
from consumers.delivery.records import encode
from consumers.delivery.roster import Roster
from consumers.relay.waiting import heed_cancellation, set_or_time
from consumers.state.deliveries import Fenced
from rules.errors import Unavailable

_log = structlog.get_logger("deliveries")


class _Progress(msgspec.Struct):
    """Of a job in a partition. `at`: where its next chunk begins, "" at its beginning; `writing`: its last chunk."""

    at: str
    writing: asyncio.Task[None] | None = None


class Enqueuing:
    """`run()` until cancelled; `bell` makes it look again."""

    def __init__(self, tools: Tools, roster: Roster, holdings: Mapping[int, Holding]) -> None:
        self.bell = asyncio.Event()
        self._tools, self._roster, self._holdings = tools, roster, holdings
        self._jobs = Jobs(tools.store, tools.partitions, tools.clock, tools.settings)
        self._chunks = Chunks(tools)
        self._open: list[Open] = []
        self._looked_s = float("-inf")
        self._progress: dict[tuple[Holding, str], _Progress] = {}

    async def run(self) -> None:
        """For ever."""
        while True:
            heed_cancellation()
            self.bell.clear()
            busy = False
            try:
                await self._look()
                for each in self._open:
                    for holding in list(self._holdings.values()):
                        busy = await self._try(holding, each) or busy
            except Unavailable:  # the worker's house-keeping says so
                busy = False
            settings = self._tools.settings
            await set_or_time(self.bell, (settings.flush_ms if busy else settings.jobs_ms) / 1000)
            if not busy:
                self._looked_s = float("-inf")

    async def _look(self) -> None:
        """What there is to do, now and then; who has the first partition says what is through."""
        now_s = self._tools.clock.monotonic()
        if now_s - self._looked_s < self._tools.settings.jobs_ms / 1000:
            return
        self._looked_s = now_s
        if 0 in self._holdings:
            await self._jobs.end(self._open)
        holdings = list(self._holdings.values())
        # Before the jobs that are open: those known here and not open then have ended.
        found = await self._tools.store.calls([("HKEYS", holding.keys.delivery_jobs) for holding in holdings])
        self._open = await self._jobs.open()
        known = frozenset(each.job.id for each in self._open)
        stopped = frozenset(each.job.id for each in self._open if each.stopped)
        for holding, fields in zip(holdings, found, strict=True):
            if holding.stopped_jobs != stopped:
                holding.stopped_jobs = stopped
                for branch in holding.branches.values():
                    branch.ring()
            for job in {field.decode().rpartition(" ")[0] for field in fields} - known:
                holding.draft.remove_job(job)
                holding.dirty = True
        self._progress = {key: value for key, value in self._progress.items() if not key[0].fenced and key[1] in known}

    async def _try(self, holding: Holding, each: Open) -> bool:
        """A mistake in one job is told, and leaves the others alone."""
        try:
            return await self._step(holding, each)
        except Unavailable:
            raise
        except Exception as error:
            _log.error("a job failed, and is tried again", job=each.job.id, kind=each.job.kind, error=where(error))
            return False

    async def _step(self, holding: Holding, each: Open) -> bool:
        """A job's next chunk in a partition; whether there is more to come."""
        if holding.fenced or holding.closing:
            return False
        job = each.job
        progress = self._progress.get((holding, job.id))
        if progress is None:
            at = await self._tools.store.call("HGET", holding.keys.delivery_jobs, f"{job.id} at")
            progress = self._progress[(holding, job.id)] = _Progress((at or b"").decode())
        if progress.writing is not None and not progress.writing.done():
            return True
        if progress.at == END:
            return False
        chunk = await self._chunk(holding, each, progress.at)
        if chunk is None or holding.fenced:
            return True
        progress.at = chunk.at
        self._enqueue(holding, job, chunk)
        progress.writing = asyncio.create_task(_written(holding), name="chunk")
        return chunk.at != END

    async def _chunk(self, holding: Holding, each: Open, at: str) -> Chunk | None:
        """None: not now."""
        job, settings = each.job, self._tools.settings
        branch, runner = holding.branches.get(job.target), self._roster.runners.get(job.target)
        if each.stopped or (job.partition is not None and job.partition != holding.number):
            return Chunk(END)
        if branch is None or runner is None:
            known = self._tools.clock.now_ms() - job.created_ms < settings.remove_ms
            return None if known else Chunk(END)
        if branch.parked >= settings.job_parked_max:
            return None
        return await self._chunks.next(holding, branch, runner.target, job, at)

    def _enqueue(self, holding: Holding, job: Job, chunk: Chunk) -> None:
        draft, target = holding.draft, job.target
        for kept in chunk.kept:
            draft.park(target, kept.lane, "w", kept.due_ms, encode(kept))
        for kept in chunk.revived:
            draft.revive(target, kept.item.id, kept.lane, kept.due_ms, encode(kept), job.id)
        for n, kept in chunk.again:
            draft.again(target, n, kept.lane, "r", kept.due_ms, encode(kept))
        draft.job(job.id, chunk.at)
        draft.job_count(job.id, "found", chunk.found)
        draft.job_count(job.id, "queued", len(chunk.kept) + len(chunk.again))
        holding.dirty = True


async def _written(holding: Holding) -> None:
    with contextlib.suppress(Fenced):
        await holding.written()
