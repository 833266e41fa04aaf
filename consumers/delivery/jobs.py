"""What is delivered beside the feed: again from a point (replay), what was given up (resend), to all members (run)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from consumers.clock import SYSTEM_CLOCK, Clock
from consumers.delivery.port import Item
from consumers.delivery.settings import Settings
from consumers.state.store import Store

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


class Jobs:
    """Begins, shows and stops jobs; the workers do them. All calls may raise Unavailable."""

    def __init__(
        self, store: Store, partitions: int, clock: Clock = SYSTEM_CLOCK, settings: Settings | None = None
    ) -> None:
        self._store, self._partitions, self._clock = store, partitions, clock
        self._settings = settings or Settings()

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
        raise NotImplementedError

    async def get(self, job_id: str) -> JobReport | None:
        raise NotImplementedError

    async def list(self, target: str = "", limit: int = 100) -> list[JobReport]:
        """Newest first, of one target or of all."""
        raise NotImplementedError

    async def stop(self, job_id: str) -> JobReport | None:
        """Nothing more of it is called; calls that are open end as they end. None: no such job."""
        raise NotImplementedError
