"""Topics made as they must be, or checked: one configured otherwise is refused with the command that mends it."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    NoError,
    PolicyViolationError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)

from consumers.log.kafka.connection import admin, unavailable
from consumers.log.kafka.settings import PARTITIONS, KafkaSettings
from rules.errors import SegmentdError

RECORD_BYTES_MAX = 300_000  # an event of 256 KB, its key, its headers, its batch
_MESSAGE_BYTES = 2 * 1024 * 1024  # of a topic that is made here: the largest definition of a segment fits, too
_LEADERS_S = 10.0  # for the partitions of a new topic to have leaders
_POLL_S = 0.05
_REFUSED = (TopicAuthorizationFailedError, ClusterAuthorizationFailedError, PolicyViolationError)


class TopicWrong(SegmentdError, ValueError):
    """A topic is not as it must be; the message has the command that mends it."""


class Requirement(NamedTuple):
    """What an existing topic's configuration must hold; `wanted` is what mends it."""

    key: str
    holds: Callable[[str], bool]
    wanted: str


class Topic(NamedTuple):
    """How a topic is to be. `partitions` None: any number, and PARTITIONS when it is made.

    `mismatch`: what to do about another number, before the command that makes the topic; "": as for the log itself.
    """

    name: str
    partitions: int | None
    config: Mapping[str, str]
    required: Sequence[Requirement] = ()
    mismatch: str = ""


WHOLE_RECORDS = Requirement("max.message.bytes", lambda value: int(value) >= RECORD_BYTES_MAX, str(_MESSAGE_BYTES))
NOT_COMPACTED = Requirement("cleanup.policy", lambda value: "compact" not in value, "delete")
STAMPED = Requirement("message.timestamp.type", lambda value: value == "LogAppendTime", "LogAppendTime")


def events_topic(settings: KafkaSettings) -> Topic:
    """The log's own topic. Replication and what counts as in sync are the brokers' defaults, which operators set."""
    own_time = settings.log_time == "create"
    config = {
        "message.timestamp.type": "CreateTime" if own_time else "LogAppendTime",
        "cleanup.policy": "delete",
        "max.message.bytes": str(_MESSAGE_BYTES),
        "retention.ms": "-1" if own_time else str(settings.retention_ms),
    }
    required = [NOT_COMPACTED, WHOLE_RECORDS] + ([] if own_time else [STAMPED])
    return Topic(settings.events_topic, settings.partitions, config, required)


async def prepare_topic(settings: KafkaSettings, topic: Topic) -> int:
    """Make the topic, or check it. Returns its number of partitions. Raises TopicWrong, Unavailable."""
    async with admin(settings, f"looking at the topic {topic.name}") as client:
        partitions = await _partitions(client, topic.name)
        if not partitions:
            await _make(client, settings, topic)
            partitions = await _with_leaders(client, settings, topic)
        if topic.partitions not in (None, len(partitions)):
            raise TopicWrong(other_number(settings, topic, len(partitions)))
        config = await _config(client, settings, topic)
    if _wrong(topic, config):
        raise TopicWrong(other_config(settings, topic, config))
    return len(partitions)


async def _partitions(client: AIOKafkaAdminClient, name: str) -> list[dict[str, Any]]:
    """What is known of the topic's partitions; empty: there is no such topic.

    All topics are asked for: asking for one by name makes it, where brokers are allowed to do that.
    """
    for found in await client.describe_topics():
        if found["topic"] == name:
            return list(found["partitions"])
    return []


async def _make(client: AIOKafkaAdminClient, settings: KafkaSettings, topic: Topic) -> None:
    # -1: as many copies as the brokers' default says; the client allows that only with an (empty) placement.
    new = NewTopic(topic.name, topic.partitions or PARTITIONS, -1, replica_assignments={}, topic_configs=topic.config)
    answer = await client.create_topics([new])
    for _name, code, message in answer.topic_errors:
        error = for_code(code)
        if error in _REFUSED:
            raise TopicWrong(
                f"the topic {topic.name} is not there, and the brokers do not let this user make it"
                f" ({message or error.__name__}). Make it with:\n    {_create_command(settings, topic)}"
            )
        if error not in (NoError, TopicAlreadyExistsError):
            raise unavailable(settings, f"making the topic {topic.name}", f"{error.__name__}: {message}")


async def _with_leaders(client: AIOKafkaAdminClient, settings: KafkaSettings, topic: Topic) -> list[dict[str, Any]]:
    """Wait until every partition of the new topic can be written."""
    deadline = asyncio.get_running_loop().time() + _LEADERS_S
    while True:
        partitions = await _partitions(client, topic.name)
        if partitions and all(each["leader"] >= 0 for each in partitions):
            return partitions
        if asyncio.get_running_loop().time() > deadline:
            raise unavailable(settings, f"making the topic {topic.name}", "its partitions have no leaders yet")
        await asyncio.sleep(_POLL_S)


async def _config(client: AIOKafkaAdminClient, settings: KafkaSettings, topic: Topic) -> dict[str, str]:
    """The topic's configuration, as it is in effect."""
    answers = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name)])
    config: dict[str, str] = {}
    for answer in answers:
        for code, message, _kind, _name, entries in answer.resources:
            error = for_code(code)
            if error in _REFUSED:
                raise TopicWrong(
                    f"this user may not read the configuration of the topic {topic.name}. Allow it with:\n"
                    f"    {_tool(settings, 'kafka-acls.sh')} --add --allow-principal User:{settings.sasl_username}"
                    f" --operation DescribeConfigs --topic {shlex.quote(topic.name)}"
                )
            if error is not NoError:
                raise unavailable(settings, f"looking at the topic {topic.name}", f"{error.__name__}: {message}")
            config.update((entry[0], entry[1]) for entry in entries)
    return config


# -- what to say ------------------------------------------------------------------------------------------------------


def _wrong(topic: Topic, config: Mapping[str, str]) -> list[Requirement]:
    return [each for each in topic.required if each.key in config and not each.holds(config[each.key])]


def other_config(settings: KafkaSettings, topic: Topic, config: Mapping[str, str]) -> str:
    """What of `config` must be otherwise, and how to mend it."""
    wrong = _wrong(topic, config)
    found = ", ".join(f"{each.key}={config[each.key]}" for each in wrong)
    mended = ",".join(f"{each.key}={each.wanted}" for each in wrong)
    return (
        f"the topic {topic.name} has {found}. Mend it with:\n"
        f"    {_tool(settings, 'kafka-configs.sh')} --alter --entity-type topics"
        f" --entity-name {shlex.quote(topic.name)} --add-config {mended}"
    )


def other_number(settings: KafkaSettings, topic: Topic, found: int) -> str:
    """That the topic has `found` partitions, and what can be done."""
    mismatch = topic.mismatch or (
        f"A customer's partition follows from the number, so it never changes: set the number to {found} if nothing has"
        " been read yet, or make another topic, and name that:"
    )
    return (
        f"the topic {topic.name} has {found} partitions, not {topic.partitions}. {mismatch}\n"
        f"    {_create_command(settings, topic)}"
    )


def _create_command(settings: KafkaSettings, topic: Topic) -> str:
    config = " ".join(f"--config {key}={value}" for key, value in topic.config.items())
    return (
        f"{_tool(settings, 'kafka-topics.sh')} --create --topic {shlex.quote(topic.name)}"
        f" --partitions {topic.partitions or PARTITIONS} {config}"
    )


def _tool(settings: KafkaSettings, name: str) -> str:
    secured = "" if settings.security_protocol == "PLAINTEXT" else " --command-config client.properties"
    return f"{name} --bootstrap-server {settings.bootstrap_servers}{secured}"
