"""What is delivered beside the feed: again from a point (replay), what was given up (resend), to all members (run)."""

from __future__ import annotations

import builtins
import re
import secrets
from collections.abc import Sequence
from typing import Literal

import msgspec

from consumers.clock import SYSTEM_CLOCK, Clock
from consumers.delivery.port import Item
from consumers.delivery.settings import Settings
from consumers.state.deliveries import JOB_COUNTS
from consumers.state.feed import PositionInvalid, read_position
from consumers.state.keys import DELIVERY_JOBS, DELIVERY_JOBS_AT, DELIVERY_OPEN, PartitionKeys
from consumers.state.store import Argument, Script, Store

ITEMS_MAX = 100
"""That are given one by one."""
_ID = re.compile(r"[A-Za-z0-9._:/-]{1,200}")

JobKind = Literal["replay", "resend", "run", "items"]
JobState = Literal["running", "finished", "stopped"]


class Job(msgspec.Struct, frozen=True):
    """What was asked for. Instants in ms; what a kind does not use is empty.

    replay: the target's items of the feed from `from_ms` on, or from the running number `from_number` of `partition`
    (None: of every one), or after the feed's position `after`; up to where the target is now. resend: the item
    `item_id`, "" for all dead letters. run: every present member of `segment`, as an item of kind "run" with the id
    `run:<job id>:<customer>`, whose data are `data`. items: `items` themselves.
    """

    id: str
    kind: JobKind
    target: str
    created_ms: int
    segment: str = ""
    from_ms: int | None = None
    from_number: int | None = None
    partition: int | None = None
    after: str = ""
    item_id: str = ""
    items: Sequence[Item] = ()
    data: bytes = b"{}"
    by: str = ""


class JobReport(msgspec.Struct, frozen=True):
    """How far it is. `found`: looked at so far; `queued`: of these the target's; of these `done`, `failed` (given up)
    and `dropped`; `listed`: all that there is has been looked at. `ended_ms` 0: it has not."""

    job: Job
    state: JobState
    listed: bool
    found: int
    queued: int
    done: int
    failed: int
    dropped: int
    ended_ms: int = 0


class Open(msgspec.Struct, frozen=True):
    """A job that has not ended."""

    job: Job
    stopped: bool = False


END = "end"
"""Where a job is in a partition in which all there is has been looked at."""
_STEP = Script("deliver_job")
_KEYS = (DELIVERY_OPEN, DELIVERY_JOBS, DELIVERY_JOBS_AT)
_ENCODER = msgspec.msgpack.Encoder()
_OPEN = msgspec.msgpack.Decoder(Open)
_REPORT = msgspec.msgpack.Decoder(JobReport)


class Jobs:
    """Begins, shows and stops jobs; the workers do them. All calls may raise Unavailable."""

    def __init__(
        self, store: Store, partitions: int, clock: Clock = SYSTEM_CLOCK, settings: Settings | None = None
    ) -> None:
        self._store, self._clock = store, clock
        self._settings = settings or Settings()
        self._keys = [PartitionKeys(partition) for partition in range(partitions)]

    async def start(
        self,
        kind: JobKind,
        target: str,
        *,
        job_id: str = "",
        segment: str = "",
        from_ms: int | None = None,
        from_number: int | None = None,
        partition: int | None = None,
        after: str = "",
        item_id: str = "",
        items: Sequence[Item] = (),
        data: bytes = b"{}",
        by: str = "",
    ) -> Job:
        """The job, begun; the one of that `job_id` if there is one already. ValueError: what does not fit the kind."""
        now_ms = self._clock.now_ms()
        job = Job(
            id=job_id or f"{now_ms:012x}{secrets.token_hex(5)}",
            kind=kind,
            target=target,
            created_ms=now_ms,
            segment=segment,
            from_ms=from_ms,
            from_number=from_number,
            partition=partition,
            after=after,
            item_id=item_id,
            items=tuple(items),
            data=data,
            by=by,
        )
        _check(job, len(self._keys))
        what, packed = await self._step("begin", job, _ENCODER.encode(Open(job)))
        return _REPORT.decode(packed).job if what == b"ended" else _OPEN.decode(packed).job

    async def get(self, job_id: str) -> JobReport | None:
        found, ended = await self._store.calls([("HGET", DELIVERY_OPEN, job_id), ("HGET", DELIVERY_JOBS, job_id)])
        if found is None:
            return None if ended is None else _REPORT.decode(ended)
        return (await self.progress([_OPEN.decode(found)]))[0]

    async def list(self, target: str = "", limit: int = 100) -> builtins.list[JobReport]:
        """Newest first, of one target or of all."""
        ended, opens = await self._store.calls([("HVALS", DELIVERY_JOBS), ("HVALS", DELIVERY_OPEN)])
        found = [_OPEN.decode(packed) for packed in opens]
        reports = await self.progress([each for each in found if target in ("", each.job.target)])
        known = {report.job.id for report in reports}
        reports += [report for report in map(_REPORT.decode, ended) if report.job.id not in known]
        mine = [report for report in reports if target in ("", report.job.target)]
        return sorted(mine, key=lambda report: (report.job.created_ms, report.job.id), reverse=True)[:limit]

    async def stop(self, job_id: str) -> JobReport | None:
        """Nothing more of it is called; calls that are open end as they end. None: no such job."""
        found = await self._store.call("HGET", DELIVERY_OPEN, job_id)
        if found is not None:
            stopped = msgspec.structs.replace(_OPEN.decode(found), stopped=True)
            await self._step("stop", stopped.job, _ENCODER.encode(stopped))
        return await self.get(job_id)

    # -- for the workers ----------------------------------------------------------------------------------------------

    async def open(self) -> builtins.list[Open]:
        """Those that have not ended."""
        return [_OPEN.decode(packed) for packed in await self._store.call("HVALS", DELIVERY_OPEN)]

    async def progress(self, opens: Sequence[Open]) -> builtins.list[JobReport]:
        """How far they are."""
        if not opens:
            return []
        fields = [f"{each.job.id} {what}" for each in opens for what in ("at", *JOB_COUNTS)]
        answers = await self._store.calls([("HMGET", keys.delivery_jobs, *fields) for keys in self._keys])
        width = 1 + len(JOB_COUNTS)
        reports = []
        for nth, each in enumerate(opens):
            rows = [answer[nth * width : (nth + 1) * width] for answer in answers]
            counts = {what: sum(int(row[1 + i] or 0) for row in rows) for i, what in enumerate(JOB_COUNTS)}
            listed = all(row[0] == END.encode() for row in rows)
            state: JobState = "stopped" if each.stopped else "running"
            reports.append(JobReport(each.job, state, listed, **counts))
        return reports

    async def end(self, opens: Sequence[Open]) -> None:
        """Remember those that are through as ended."""
        for report in await self.progress(opens):
            if report.listed and report.done + report.failed + report.dropped >= report.queued:
                state: JobState = "stopped" if report.state == "stopped" else "finished"
                ended = msgspec.structs.replace(report, state=state, ended_ms=self._clock.now_ms())
                await self._step("end", report.job, _ENCODER.encode(ended))

    async def _step(self, what: str, job: Job, packed: bytes) -> tuple[bytes, bytes]:
        args: builtins.list[Argument] = [what, job.id, packed, job.created_ms, self._settings.jobs_max]
        answer = await self._store.run(_STEP, _KEYS, args)
        return answer[0], answer[1]


def _check(job: Job, partitions: int) -> None:
    """ValueError: what does not fit the kind."""
    if not _ID.fullmatch(job.id):
        raise ValueError("a job's id is letters, digits, dots, dashes, slashes and colons, at most 200")
    if job.kind == "run" and not job.segment:
        raise ValueError("a run needs a segment")
    if job.kind == "items" and not 0 < len(job.items) <= ITEMS_MAX:
        raise ValueError(f"1 to {ITEMS_MAX} items, please")
    if job.partition is not None and not 0 <= job.partition < partitions:
        raise ValueError(f"partitions are 0 to {partitions - 1}")
    if any(not 0 <= item.partition < partitions for item in job.items):
        raise ValueError(f"partitions are 0 to {partitions - 1}")
    if job.kind == "replay":
        if (job.from_ms is None) + (job.from_number is None) + (not job.after) != 2:
            raise ValueError("a replay begins at a time, a number or a position: one of these")
        if job.after:
            try:
                read_position(job.after, partitions)
            except PositionInvalid as error:
                raise ValueError(str(error)) from error
