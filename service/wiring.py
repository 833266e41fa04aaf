"""The composition root: which parts there are and how they hold together. Nothing else makes them."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

from consumers.embedded import Embedded
from consumers.evaluator import Evaluator
from consumers.evaluator import Settings as EvaluatorSettings
from consumers.log.port import Log
from consumers.log.redis_streams import RedisLog
from consumers.state.feed import Feed
from consumers.state.reads import Reads
from consumers.state.registry import Registry
from consumers.state.store import Store
from rules.errors import SegmentdError
from service import logs
from service.metrics import Metrics
from service.readiness import Readiness, readiness_of
from service.settings import Settings

_log = logs.get("wiring")


class NotConfigurable(SegmentdError):
    """The settings ask for what there is not; the message says which setting and what would be right."""


@dataclass
class Services:
    """The parts of one process. `evaluator` is None in a process that only answers HTTP.

    `closing` is set when the process begins to end: streams of transitions then end themselves.
    """

    settings: Settings
    store: Store
    log: Log
    feed: Feed
    reads: Reads
    registry: Registry
    metrics: Metrics
    evaluator: Evaluator | None = None
    embedded: Embedded | None = None
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    streams: int = 0  # of transitions, open now
    _running: asyncio.Task[None] | None = None

    def start_evaluator(self) -> asyncio.Task[None] | None:
        """Runs the evaluator beside whatever else the loop does; None where this process has none."""
        if self.evaluator is not None and self._running is None:
            self._running = asyncio.create_task(self._evaluate(self.evaluator), name="evaluator")
        return self._running

    async def _evaluate(self, evaluator: Evaluator) -> None:
        try:
            await evaluator.run()
        except Exception as error:
            _log.error("the evaluator ended", exc_info=error)
            raise

    @property
    def evaluator_failed(self) -> bool:
        """Whether the evaluator of this process ended by itself."""
        return self._running is not None and self._running.done() and not self.closing.is_set()

    async def readiness(self) -> Readiness:
        """Whether this process can do its work."""
        if self.closing.is_set():
            return Readiness(["the service is stopping"])
        return await readiness_of(self.reads, self.evaluator, evaluator_failed=self.evaluator_failed)

    async def close(self) -> None:
        """Ends everything in the order in which nothing is lost: streams, evaluator, connections, server."""
        self.closing.set()
        if self.evaluator is not None and self._running is not None:
            await self.evaluator.stop()
            with contextlib.suppress(Exception):  # told when it happened
                await self._running
        await self.feed.close()
        await self.store.close()
        if self.embedded is not None:
            await asyncio.to_thread(self.embedded.stop)


async def open_services(settings: Settings, *, evaluate: bool = True) -> Services:
    """The parts for these settings, ready for use; `start_evaluator()` and `close()` are the caller's.

    Raises DirectoryInUse (embedded), Unavailable (the store is away), NotConfigurable.
    """
    if settings.kafka_bootstrap_servers:
        raise NotConfigurable(
            "KAFKA_BOOTSTRAP_SERVERS is set, but this version keeps its log in Redis Streams only: unset it"
        )
    embedded = None if settings.redis_url else Embedded(settings.data_dir)
    if embedded is not None:
        await asyncio.to_thread(embedded.start)
    try:
        url = settings.redis_url.get_secret_value() if settings.redis_url else ""
        return await _open(settings, embedded.url if embedded else url, embedded, evaluate)
    except BaseException:
        if embedded is not None:
            await asyncio.to_thread(embedded.stop)
        raise


async def _open(settings: Settings, url: str, embedded: Embedded | None, evaluate: bool) -> Services:
    store = Store.connect(url)
    try:
        log = RedisLog(store, settings.partitions)
        try:
            await log.prepare()
        except ValueError as error:
            raise NotConfigurable(str(error)) from error
        feed = Feed(store, settings.partitions)
        metrics = Metrics(settings.metrics_event_types_max, settings.segments_max)
        registry = Registry(store, log)
        await registry.publish_pending()
        bounds = EvaluatorSettings(
            batch_records_max=settings.batch_records_max, hot_profiles_max=settings.profiles_cached_max
        )
        return Services(
            settings=settings,
            store=store,
            log=log,
            feed=feed,
            reads=Reads(store, log, feed),
            registry=registry,
            metrics=metrics,
            evaluator=Evaluator(store, log, bounds, metrics.evaluator) if evaluate else None,
            embedded=embedded,
        )
    except BaseException:
        await store.close()
        raise
