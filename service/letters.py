"""Where the dead letters of these settings are, and the log that they may go back into."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass

from consumers.embedded import DirectoryInUse, Embedded
from consumers.log.dead_letters import DeadLetterBox
from consumers.log.kafka.dead_letters import KafkaDeadLetters
from consumers.log.kafka.log import KafkaLog
from consumers.log.kafka.settings import KafkaSettings
from consumers.log.port import Log
from consumers.log.redis_streams import RedisLog
from consumers.state.dead_letter_box import LOG, StoreDeadLetters
from consumers.state.keys import PARTITIONS
from consumers.state.store import Store
from service.kafka import kafka_settings
from service.settings import Settings
from service.wiring import NotConfigurable


@dataclass(frozen=True, slots=True)
class Letters:
    """`own`: by what names a letter's source is the log itself."""

    box: DeadLetterBox
    log: Log
    own: Collection[str]


@asynccontextmanager
async def open_letters(settings: Settings) -> AsyncIterator[Letters]:
    """On Kafka's topic where there is Kafka, else in the store. Raises Unavailable, NotConfigurable."""
    try:
        brokers = kafka_settings(settings)
    except ValueError as error:
        raise NotConfigurable(str(error)) from error
    opened = _in_the_store(settings) if brokers is None else _on_kafka(settings, brokers)
    async with opened as letters:
        yield letters


@asynccontextmanager
async def _on_kafka(settings: Settings, brokers: KafkaSettings) -> AsyncIterator[Letters]:
    log = KafkaLog(brokers)
    box = KafkaDeadLetters(brokers, settings.dead_letters_topic)
    try:
        await log.prepare()
        yield Letters(box, log, (settings.events_topic,))
    finally:
        await box.close()
        await log.close()


@asynccontextmanager
async def _in_the_store(settings: Settings) -> AsyncIterator[Letters]:
    async with _store_url(settings) as url:
        try:
            store = Store.connect(url)
        except ValueError as error:
            raise NotConfigurable(f"REDIS_URL: {error}") from error
        try:
            partitions = int(await store.call("GET", PARTITIONS) or 0)
            if not partitions:
                raise NotConfigurable("there is no log in this store yet, and no dead letters")
            log = RedisLog(store, partitions)
            await log.prepare()
            yield Letters(StoreDeadLetters(store, partitions), log, (LOG,))
        finally:
            await store.close()


@asynccontextmanager
async def _store_url(settings: Settings) -> AsyncIterator[str]:
    """Of the external store, of the embedded one that runs, or of one started for this."""
    if settings.redis_url is not None:
        yield settings.redis_url.get_secret_value()
        return
    embedded = Embedded(settings.data_dir)
    try:
        await asyncio.to_thread(embedded.start)
    except DirectoryInUse:
        yield f"unix://{(embedded.directory / 'socket').read_text()}"
        return
    try:
        yield embedded.url
    finally:
        await asyncio.to_thread(embedded.stop)
