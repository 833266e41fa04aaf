"""All subscriptions as targets of deliveries: watched, and disabled when nobody is there to take them any more.

Two ways to be disabled: the receiver says so (HTTP 410), or every attempt has failed for days. Several processes
deliver at once: since when a subscription fails is in the store, and whoever had a success takes it back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

import msgspec
import orjson
import structlog

from consumers.clock import SYSTEM_CLOCK, Clock
from consumers.delivery.jobs import Jobs
from consumers.delivery.port import Done, Dropped, Failed, Gone, Item, Later, Outcome, Refused, Target
from consumers.outbound import Outbound
from consumers.state.keys import SUBSCRIPTIONS_FAILING, SUBSCRIPTIONS_REVISION
from consumers.state.store import Store
from consumers.webhooks.registry import Snapshot, Subscription, Subscriptions
from consumers.webhooks.settings import Settings
from consumers.webhooks.target import DISABLED, WebhookTarget
from rules.errors import Unavailable
from rules.limits import DAY_MS
from rules.times import format_instant

_log = structlog.get_logger("webhooks")

_AGAIN_S = 1.0  # after the store was away


class Ends:
    """How a subscription's attempts have ended in this process, since it was last looked at. Instants in ms."""

    __slots__ = ("done_at", "failing_since", "gone")

    def __init__(self) -> None:
        self.done_at = 0
        self.failing_since = 0
        self.gone = False


class WebhookTargets:
    """A `Targets` (consumers/delivery/port.py)."""

    def __init__(
        self,
        store: Store,
        registry: Subscriptions,
        outbound: Outbound,
        jobs: Jobs,
        *,
        settings: Settings | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.changed = asyncio.Event()
        self._store, self._registry, self._outbound, self._jobs = store, registry, outbound, jobs
        self._settings, self._clock = settings or Settings(), clock
        self._current: dict[str, WebhookTarget] = {}
        self._revision = -1
        self._ends: dict[str, Ends] = {}
        self._watching: asyncio.Task[None] | None = None

    @property
    def current(self) -> Mapping[str, Target]:
        return self._current

    async def start(self) -> None:
        """Raises Unavailable."""
        await self.look()
        self._watching = asyncio.create_task(self._watch(), name="webhook subscriptions")

    async def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
            self._watching = None

    async def ended(self, target_id: str, outcome: Outcome) -> None:
        """Noted here; acted on at the next look."""
        ends = self._ends.setdefault(target_id, Ends())
        now = self._clock.now_ms()
        match outcome:
            case Done():
                ends.done_at, ends.failing_since = now, 0
            case Gone():
                ends.gone = True
            case Failed() | Refused():
                ends.failing_since = ends.failing_since or now
            case Dropped() | Later():
                pass

    async def look(self) -> None:
        """Reads what changed, and does what the ends of attempts ask for. Raises Unavailable."""
        revision, flat = await self._store.calls([("GET", SUBSCRIPTIONS_REVISION), ("HGETALL", SUBSCRIPTIONS_FAILING)])
        if int(revision or 0) != self._revision:
            self._take(await self._registry.snapshot())
        marks = {key.decode(): int(value) for key, value in zip(flat[::2], flat[1::2], strict=True)}
        for target_id, ends in list(self._ends.items()):
            target = self._current.get(target_id)
            if target is None:
                del self._ends[target_id]
            elif target.active:
                await self._judge(target.subscription, ends, marks.get(target.subscription.id, 0))
            else:
                self._ends[target_id] = Ends()

    def _take(self, snapshot: Snapshot) -> None:
        current = {}
        for subscription in snapshot.entries.values():
            known = self._current.get(subscription.target)
            if known is None or known.subscription != subscription:
                known = WebhookTarget(
                    subscription, self._registry, self._outbound, self._clock, self._settings.timeout_s
                )
            current[known.id] = known
        self._current, self._revision = current, snapshot.revision
        self.changed.set()

    async def _judge(self, subscription: Subscription, ends: Ends, mark: int) -> None:
        """`mark`: since when it fails as the store knows it, 0 where it does not."""
        if ends.gone:
            ends.gone = False
            await self._disable(subscription, "the receiver answered 410 Gone")
            return
        if mark and ends.done_at >= mark:
            await self._store.call("HDEL", SUBSCRIPTIONS_FAILING, subscription.id)
            mark = 0
        if not ends.failing_since:
            return
        if not mark:
            mark = max(ends.failing_since, subscription.since)
            await self._store.call("HSETNX", SUBSCRIPTIONS_FAILING, subscription.id, mark)
        ends.failing_since = 0  # the store has it now; what comes counts from there, or from the next failure
        if self._clock.now_ms() - mark >= self._settings.disable_after_ms:
            days = self._settings.disable_after_ms / DAY_MS
            why = f"every attempt has failed since {format_instant(mark)}, for {days:g} days"
            await self._disable(subscription, why)

    async def _disable(self, subscription: Subscription, why: str) -> None:
        def change(old: Subscription) -> Subscription:
            if old.state != "active" or old.since != subscription.since:
                return old  # somebody else was here meanwhile
            now = self._clock.now_ms()
            return msgspec.structs.replace(old, state="disabled", why=why, since=now, told=False)

        await self._registry.change(subscription.id, change, forget_failing=True)
        self._take(await self._registry.snapshot())
        await self._tell()

    async def _tell(self) -> None:
        """Notices of what was disabled, to whoever asked for them; what a crash kept back is told by the next one."""
        for target in list(self._current.values()):
            disabled = target.subscription
            if disabled.state != "disabled" or disabled.told:
                continue
            item = notice(disabled)
            for other in self._current.values():
                if other.active and DISABLED in other.subscription.document.kinds:
                    job_id = f"{disabled.id}-{disabled.since:x}-{other.subscription.id}"
                    await self._jobs.start("items", other.id, job_id=job_id, items=[item])

            def told(old: Subscription, since: int = disabled.since) -> Subscription:
                return msgspec.structs.replace(old, told=True) if old.since == since else old

            await self._registry.change(disabled.id, told)

    async def _watch(self) -> None:
        while True:
            try:
                await self.look()
                await self._tell()
                await asyncio.sleep(self._settings.poll_s)
            except Unavailable as error:
                await asyncio.sleep(max(_AGAIN_S, error.retry_after_s))
            except Exception as error:  # one subscription that cannot be looked at must not hide the others' changes
                _log.error("webhook subscriptions could not be looked at", exc_info=error)
                await asyncio.sleep(_AGAIN_S)


def notice(disabled: Subscription) -> Item:
    """What is told of a subscription that was disabled; its URL, which may hold a secret, is not."""
    event_id = f"{disabled.id}:disabled:{disabled.since}"
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": "/segmentd",
        "type": "segmentd.subscription.disabled",
        "subject": disabled.id,
        "time": format_instant(disabled.since),
        "datacontenttype": "application/json",
        "data": {
            "subscription": disabled.id,
            "description": disabled.document.description,
            "why": disabled.why,
        },
    }
    return Item(event_id, "notice", 0, "", "", time_ms=disabled.since, data=orjson.dumps(event))
