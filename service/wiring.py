"""The composition root: which parts there are and how they hold together. Nothing else makes them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from consumers.connectors.port import Connectors
from consumers.delivery.jobs import Jobs
from consumers.delivery.reads import Reads as DeliveryReads
from consumers.delivery.worker import Worker
from consumers.embedded import Embedded
from consumers.evaluator import Evaluator
from consumers.evaluator import Settings as EvaluatorSettings
from consumers.log.dead_letters import DeadLetterBox
from consumers.log.kafka.dead_letters import KafkaDeadLetters
from consumers.log.kafka.settings import KafkaSettings
from consumers.log.port import Log
from consumers.log.redis_streams import RedisLog
from consumers.outbound import Outbound
from consumers.state.checks import check_store
from consumers.state.dead_letter_box import StoreDeadLetters
from consumers.state.feed import Feed
from consumers.state.keys import PARTITIONS
from consumers.state.reads import Reads
from consumers.state.registry import Registry
from consumers.state.store import Store
from consumers.webhooks.registry import Subscriptions
from consumers.webhooks.sealing import Seal, keys_of
from rules.errors import SegmentdError, SegmentInvalid, Unavailable
from service import kafka, logs
from service.connectors import make_connectors
from service.metrics import Metrics
from service.readiness import Readiness, readiness_of
from service.settings import Settings

_log = logs.get("wiring")

_PARTITIONS_ON_REDIS = 4
_PUBLISH_AGAIN_S = 5.0
_GATHER_MS_ON_REDIS, GATHER_MS_ON_KAFKA = 10, 80


class NotConfigurable(SegmentdError):
    """The settings ask for what there is not; the message says which setting and what would be right."""


@dataclass
class Services:
    """The parts of one process. `evaluator` and `worker` (of deliveries) are None in one that only answers HTTP.

    `closing` is set when the process begins to end: streams of transitions then end themselves.
    """

    settings: Settings
    store: Store
    log: Log
    feed: Feed
    reads: Reads
    registry: Registry
    metrics: Metrics
    letters: DeadLetterBox
    outbound: Outbound
    subscriptions: Subscriptions
    jobs: Jobs
    deliveries: DeliveryReads
    connectors: Connectors
    evaluator: Evaluator | None = None
    worker: Worker | None = None
    embedded: Embedded | None = None
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    streams: int = 0  # of transitions, open now
    imports: int = 0  # of members, running now
    _running: asyncio.Task[None] | None = None
    _delivering: asyncio.Task[None] | None = None
    _publishing: asyncio.Task[None] | None = None

    def start_evaluator(self) -> asyncio.Task[None] | None:
        """Runs the evaluator beside whatever else the loop does; None where this process has none."""
        if self.evaluator is not None and self._running is None:
            self._running = asyncio.create_task(self._evaluate(self.evaluator), name="evaluator")
        return self._running

    def start_deliveries(self, worker: Worker) -> asyncio.Task[None]:
        """Runs a worker (`service.deliveries`) beside whatever else the loop does."""
        assert self.worker is None, "a process has one worker"
        self.worker = worker
        self._delivering = asyncio.create_task(self._deliver(worker), name="deliveries")
        return self._delivering

    def publish_pending(self) -> None:
        """Puts into the log, as soon as it is there, the definitions that a crash kept from it."""
        self._publishing = asyncio.create_task(self._publish_pending(), name="publish pending definitions")

    async def _publish_pending(self) -> None:
        while True:
            try:
                await self.registry.publish_pending()
                return
            except Unavailable:
                await asyncio.sleep(_PUBLISH_AGAIN_S)

    async def _evaluate(self, evaluator: Evaluator) -> None:
        try:
            await evaluator.run()
        except Exception as error:
            _log.error("the evaluator ended", exc_info=error)
            raise

    async def _deliver(self, worker: Worker) -> None:
        try:
            await worker.run()
        except Exception as error:
            _log.error("the deliveries ended", exc_info=error)
            raise

    @property
    def deliveries_failed(self) -> bool:
        """Whether the deliveries of this process ended by themselves."""
        return self._delivering is not None and self._delivering.done() and not self.closing.is_set()

    @property
    def evaluator_failed(self) -> bool:
        """Whether the evaluator of this process ended by itself."""
        return self._running is not None and self._running.done() and not self.closing.is_set()

    async def readiness(self) -> Readiness:
        """Whether this process can do its work."""
        if self.closing.is_set():
            return Readiness(["the service is stopping"])
        return await readiness_of(
            self.reads,
            self.evaluator,
            self.worker,
            evaluator_failed=self.evaluator_failed,
            deliveries_failed=self.deliveries_failed,
        )

    async def close(self) -> None:
        """Ends everything in the order in which nothing is lost: streams, deliveries, evaluator, connections, store."""
        self.closing.set()
        if self.worker is not None and self._delivering is not None:
            await self.worker.stop()
            with contextlib.suppress(Exception):  # told when it happened
                await self._delivering
        if self.evaluator is not None and self._running is not None:
            await self.evaluator.stop()
            with contextlib.suppress(Exception):  # told when it happened
                await self._running
        if self._publishing is not None:
            self._publishing.cancel()
            await asyncio.wait([self._publishing])
        await self.feed.close()
        await self.connectors.close()
        await self.outbound.close()
        await self.letters.close()
        await self.log.close()
        await self.store.close()
        if self.embedded is not None:
            await asyncio.to_thread(self.embedded.stop)


async def open_services(settings: Settings, *, evaluate: bool = True) -> Services:
    """The parts for these settings, ready for use; `start_evaluator()` and `close()` are the caller's.

    Raises DirectoryInUse (embedded), Unavailable (the store is away), NotConfigurable.
    """
    try:
        brokers = kafka.kafka_settings(settings)
    except ValueError as error:
        raise NotConfigurable(str(error)) from error
    embedded = None if settings.redis_url else Embedded(settings.data_dir)
    if embedded is not None:
        await asyncio.to_thread(embedded.start)
    try:
        url = settings.redis_url.get_secret_value() if settings.redis_url else ""
        return await _open(settings, embedded.url if embedded else url, embedded, brokers, evaluate)
    except BaseException:
        if embedded is not None:
            await asyncio.to_thread(embedded.stop)
        raise


async def _open(
    settings: Settings, url: str, embedded: Embedded | None, brokers: KafkaSettings | None, evaluate: bool
) -> Services:
    try:
        store = Store.connect(url, replicas_ack=settings.redis_replicas_ack)
    except ValueError as error:
        raise NotConfigurable(f"REDIS_URL: {error}") from error
    try:
        if embedded is None:
            await _check_store(store, log_in_store=brokers is None)
        try:
            opened = await (_on_redis(settings, store) if brokers is None else _on_kafka(settings, store, brokers))
        except ValueError as error:
            raise NotConfigurable(str(error)) from error
        try:
            return _services(settings, store, opened, embedded, evaluate)
        except BaseException:
            await opened.log.close()
            raise
    except BaseException:
        await store.close()
        raise


async def _check_store(store: Store, *, log_in_store: bool) -> None:
    """Raises Unavailable, and NotConfigurable for a server that would lose or forget what it is given."""
    found = await check_store(store, log_in_store=log_in_store)
    for warning in found.warnings:
        _log.warning("the store could be better", why=warning)
    if found.refusals:
        raise NotConfigurable("\n  ".join(["the store is not fit for use:", *found.refusals]))
    store.forgets = found.forgets


class _Opened(NamedTuple):
    """The log, its dead letters, and how an evaluator over it is made."""

    log: Log
    letters: DeadLetterBox
    evaluator: Callable[[Metrics], Evaluator]


async def _on_redis(settings: Settings, store: Store) -> _Opened:
    """Raises ValueError for a store that was made with other partitions, Unavailable."""
    recorded = await store.call("GET", PARTITIONS)
    log = RedisLog(store, settings.partitions or int(recorded or _PARTITIONS_ON_REDIS))
    await log.prepare()
    bounds = _bounds(settings, _GATHER_MS_ON_REDIS)
    letters = StoreDeadLetters(store, log.partitions)
    return _Opened(log, letters, lambda metrics: Evaluator(store, log, bounds, metrics.evaluator))


async def _on_kafka(settings: Settings, store: Store, brokers: KafkaSettings) -> _Opened:
    """Raises ValueError for topics that are not as they must be, Unavailable."""
    log = await kafka.open_log(brokers, store)
    letters = KafkaDeadLetters(brokers, settings.dead_letters_topic)
    bounds = _bounds(settings, GATHER_MS_ON_KAFKA, settings.event_age_ms_max)

    def evaluator(metrics: Metrics) -> Evaluator:
        return kafka.make_evaluator(settings, brokers, store, log, letters, bounds, metrics)

    return _Opened(log, letters, evaluator)


def _bounds(settings: Settings, gather_ms: int, event_age_ms_max: int | None = None) -> EvaluatorSettings:
    return EvaluatorSettings(
        batch_records_max=settings.batch_records_max,
        hot_profiles_max=settings.profiles_cached_max,
        gather_ms=gather_ms if settings.gather_milliseconds is None else settings.gather_milliseconds,
        event_age_ms_max=event_age_ms_max,
    )


def _outbound(settings: Settings) -> Outbound:
    try:
        return Outbound(settings.outbound_allow, settings.outbound_timeout_seconds, ca_file=settings.outbound_ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise NotConfigurable(f"outbound_ca_file: {error}") from error


def _connectors(settings: Settings, store: Store, log: Log, outbound: Outbound) -> Connectors:
    try:
        return make_connectors(settings, store, log, outbound)
    except (SegmentInvalid, ValueError) as error:
        raise NotConfigurable(str(error)) from error


def _services(settings: Settings, store: Store, opened: _Opened, embedded: Embedded | None, evaluate: bool) -> Services:
    log = opened.log
    feed = Feed(store, log.partitions)
    metrics = Metrics(settings.metrics_event_types_max, settings.segments_max)
    outbound = _outbound(settings)
    services = Services(
        settings=settings,
        store=store,
        log=log,
        feed=feed,
        reads=Reads(store, log, feed),
        registry=Registry(store, log),
        metrics=metrics,
        letters=opened.letters,
        outbound=outbound,
        subscriptions=Subscriptions(store, Seal(keys_of(settings.webhook_key))),
        jobs=Jobs(store, log.partitions),
        deliveries=DeliveryReads(store, log.partitions),
        connectors=_connectors(settings, store, log, outbound),
        evaluator=opened.evaluator(metrics) if evaluate else None,
        embedded=embedded,
    )
    services.publish_pending()
    return services
