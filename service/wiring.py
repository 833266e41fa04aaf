"""The composition root: which parts there are and how they hold together. Nothing else makes them."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

from consumers.embedded import Embedded
from consumers.evaluator import Evaluator
from consumers.evaluator import Settings as EvaluatorSettings
from consumers.log.dead_letters import DeadLetterBox
from consumers.log.kafka.dead_letters import KafkaDeadLetters
from consumers.log.kafka.log import KafkaLog
from consumers.log.kafka.settings import KafkaSettings
from consumers.log.port import Log
from consumers.log.redis_streams import RedisLog
from consumers.state.checks import check_store
from consumers.state.dead_letter_box import StoreDeadLetters
from consumers.state.feed import Feed
from consumers.state.keys import PARTITIONS
from consumers.state.reads import Reads
from consumers.state.registry import Registry
from consumers.state.store import Store
from rules.errors import SegmentdError, Unavailable
from service import kafka, logs
from service.metrics import Metrics
from service.readiness import Readiness, readiness_of
from service.settings import Settings

_log = logs.get("wiring")

_PARTITIONS_ON_REDIS = 4
_PUBLISH_AGAIN_S = 5.0
_GATHER_MS_ON_REDIS, _GATHER_MS_ON_KAFKA = 10, 50


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
    letters: DeadLetterBox
    evaluator: Evaluator | None = None
    embedded: Embedded | None = None
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    streams: int = 0  # of transitions, open now
    _running: asyncio.Task[None] | None = None
    _publishing: asyncio.Task[None] | None = None

    def start_evaluator(self) -> asyncio.Task[None] | None:
        """Runs the evaluator beside whatever else the loop does; None where this process has none."""
        if self.evaluator is not None and self._running is None:
            self._running = asyncio.create_task(self._evaluate(self.evaluator), name="evaluator")
        return self._running

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
        if self._publishing is not None:
            self._publishing.cancel()
            await asyncio.wait([self._publishing])
        await self.feed.close()
        if isinstance(self.letters, KafkaDeadLetters):
            await self.letters.close()
        if isinstance(self.log, KafkaLog):
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
        log = await _open_log(settings, store, brokers)
        try:
            return _services(settings, store, log, embedded, brokers, evaluate)
        except BaseException:
            if isinstance(log, KafkaLog):
                await log.close()
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


async def _open_log(settings: Settings, store: Store, brokers: KafkaSettings | None) -> Log:
    try:
        if brokers is not None:
            return await kafka.open_log(brokers, store)
        recorded = await store.call("GET", PARTITIONS)
        log = RedisLog(store, settings.partitions or int(recorded or _PARTITIONS_ON_REDIS))
        await log.prepare()
        return log
    except ValueError as error:
        raise NotConfigurable(str(error)) from error


def _services(
    settings: Settings,
    store: Store,
    log: Log,
    embedded: Embedded | None,
    brokers: KafkaSettings | None,
    evaluate: bool,
) -> Services:
    feed = Feed(store, log.partitions)
    metrics = Metrics(settings.metrics_event_types_max, settings.segments_max)
    letters = _letters(settings, store, log, brokers)
    services = Services(
        settings=settings,
        store=store,
        log=log,
        feed=feed,
        reads=Reads(store, log, feed),
        registry=Registry(store, log),
        metrics=metrics,
        letters=letters,
        evaluator=_evaluator(settings, store, log, brokers, letters, metrics) if evaluate else None,
        embedded=embedded,
    )
    services.publish_pending()
    return services


def _gather_ms(settings: Settings, brokers: KafkaSettings | None) -> int:
    if settings.gather_milliseconds is not None:
        return settings.gather_milliseconds
    return _GATHER_MS_ON_REDIS if brokers is None else _GATHER_MS_ON_KAFKA


def _letters(settings: Settings, store: Store, log: Log, brokers: KafkaSettings | None) -> DeadLetterBox:
    if brokers is None:
        return StoreDeadLetters(store, log.partitions)
    return KafkaDeadLetters(brokers, settings.dead_letters_topic)


def _evaluator(
    settings: Settings,
    store: Store,
    log: Log,
    brokers: KafkaSettings | None,
    letters: DeadLetterBox,
    metrics: Metrics,
) -> Evaluator:
    bounds = EvaluatorSettings(
        batch_records_max=settings.batch_records_max,
        hot_profiles_max=settings.profiles_cached_max,
        gather_ms=_gather_ms(settings, brokers),
        event_age_ms_max=settings.event_age_ms_max if brokers is not None else None,
    )
    if brokers is None:
        return Evaluator(store, log, bounds, metrics.evaluator)
    assert isinstance(log, KafkaLog), "with brokers the log is theirs"
    assert isinstance(letters, KafkaDeadLetters), "and so are the dead letters"
    return kafka.make_evaluator(settings, brokers, store, log, letters, bounds, metrics)
