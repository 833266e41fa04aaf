"""The parts that Kafka brings, made from the settings: the log, the shared partitions, the relay, the dead letters."""

from __future__ import annotations

import secrets
import socket

import msgspec

from consumers.clock import SYSTEM_CLOCK
from consumers.evaluator import Evaluator
from consumers.evaluator import Settings as EvaluatorSettings
from consumers.evaluator.letters import LogLetters
from consumers.log.kafka.dead_letters import KafkaDeadLetters
from consumers.log.kafka.log import KafkaLog
from consumers.log.kafka.settings import KafkaSettings
from consumers.log.kafka.sharing import GROUP, KafkaSharing
from consumers.relay.kafka import KafkaOutlet
from consumers.relay.relay import Relay
from consumers.relay.settings import Settings as RelaySettings
from consumers.state.keys import PARTITIONS
from consumers.state.store import Store
from rules.errors import Unavailable
from service import logs
from service.metrics import Metrics
from service.settings import Settings

_log = logs.get("wiring")
_EVENTS_TOPIC = KafkaSettings("").events_topic


def kafka_settings(settings: Settings) -> KafkaSettings | None:
    """None without `KAFKA_BOOTSTRAP_SERVERS`. ValueError when they contradict each other."""
    if not settings.kafka_bootstrap_servers:
        return None
    password = settings.kafka_sasl_password
    return KafkaSettings(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        events_topic=settings.events_topic,
        partitions=settings.partitions,
        log_time="create" if settings.log_time == "create" else "append",
        security_protocol=settings.kafka_security_protocol,
        sasl_mechanism=settings.kafka_sasl_mechanism,
        sasl_username=settings.kafka_sasl_username,
        sasl_password=password.get_secret_value() if password is not None else "",
        ssl_cafile=str(settings.kafka_ssl_cafile or ""),
    )


async def open_log(kafka: KafkaSettings, store: Store) -> KafkaLog:
    """The log, its topic made or checked. ValueError for one that is configured otherwise, or has other partitions.

    While the brokers are away the store's own record of the number of partitions will do: reads are answered, and the
    log is looked at as soon as it is back. Raises Unavailable where nothing is recorded yet.
    """
    recorded = await store.call("GET", PARTITIONS)
    known = int(recorded) if recorded else None
    if known is not None and kafka.partitions not in (None, known):
        raise ValueError(f"the store was made for {known} partitions, not {kafka.partitions}: the number cannot change")
    log = KafkaLog(msgspec.structs.replace(kafka, partitions=known or kafka.partitions))
    try:
        await log.prepare()
    except Unavailable as error:
        if known is None:
            await log.close()
            raise
        _log.warning("the log is away; reads are answered", reason=str(error))
        return log
    except BaseException:
        await log.close()
        raise
    await store.call("SET", PARTITIONS, log.partitions)
    return log


def make_evaluator(
    settings: Settings,
    kafka: KafkaSettings,
    store: Store,
    log: KafkaLog,
    letters: KafkaDeadLetters,
    bounds: EvaluatorSettings,
    metrics: Metrics,
) -> Evaluator:
    """An evaluator that shares the partitions with others, and relays what it says to the topic of transitions."""
    # Also with a name of its own: what is left of its former run must not be taken for it.
    name = f"{settings.evaluator_name or socket.gethostname()}-{secrets.token_hex(4)}"
    outlet = KafkaOutlet(kafka, f"{settings.transitions_topic}-{name}", settings.transitions_topic, log.partitions)
    relay_bounds = RelaySettings(outbox_transitions_max=settings.outbox_transitions_max)
    relay = Relay(outlet, store, SYSTEM_CLOCK, relay_bounds, metrics.relay)
    group = GROUP if settings.events_topic == _EVENTS_TOPIC else f"{GROUP}-{settings.events_topic}"
    sharing = KafkaSharing(kafka, settings.evaluator_name, group, round(settings.session_timeout_seconds * 1000))
    return Evaluator(
        store,
        log,
        bounds,
        metrics.evaluator,
        name,
        sharing=sharing,
        durably=settings.redis_replicas_ack > 0,
        relay=relay,
        dead_letters=LogLetters(letters, kafka.events_topic),
    )
