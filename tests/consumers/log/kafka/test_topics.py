"""Topics are made as they must be, and one configured otherwise is refused with the command that mends it."""

from __future__ import annotations

import re
import shlex

import msgspec
import pytest
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from consumers.log.kafka.connection import admin
from consumers.log.kafka.log import KafkaLog
from consumers.log.kafka.settings import KafkaSettings
from consumers.log.kafka.topics import TopicWrong, events_topic, other_number, prepare_topic
from consumers.log.port import START, NewRecord
from rules.errors import Unavailable


async def config_of(settings: KafkaSettings) -> dict[str, str]:
    async with admin(settings, "test") as client:
        (answer,) = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, settings.events_topic)])
    return {entry[0]: entry[1] for entry in answer.resources[0][4]}


async def make(settings: KafkaSettings, partitions: int, **config: str) -> None:
    """A topic as somebody else made it."""
    named = {key.replace("_", "."): value for key, value in config.items()}
    async with admin(settings, "test") as client:
        await client.create_topics([NewTopic(settings.events_topic, partitions, 1, topic_configs=named)])


async def follow(settings: KafkaSettings, message: str) -> None:
    """Do what the command in a refusal says."""
    command = shlex.split(message.split("Mend it with:")[1])
    assert command[0] == "kafka-configs.sh"
    assert command[command.index("--bootstrap-server") + 1] == settings.bootstrap_servers
    assert command[command.index("--entity-type") + 1] == "topics"
    name = command[command.index("--entity-name") + 1]
    added = dict(each.split("=") for each in command[command.index("--add-config") + 1].split(","))
    async with admin(settings, "test") as client:
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, added)])


async def test_the_topic_is_made_with_the_logs_own_time_and_16_partitions(settings: KafkaSettings) -> None:
    settings = msgspec.structs.replace(settings, partitions=None)
    log = KafkaLog(settings)
    await log.prepare()
    assert log.partitions == 16
    assert log.stamps
    config = await config_of(settings)
    assert config["message.timestamp.type"] == "LogAppendTime"
    assert config["cleanup.policy"] == "delete"
    assert config["retention.ms"] == str(30 * 86_400_000)
    assert int(config["max.message.bytes"]) >= 1024 * 1024  # the largest document of a segment
    await log.close()


async def test_an_existing_topic_tells_how_many_partitions_there_are(settings: KafkaSettings) -> None:
    settings = msgspec.structs.replace(settings, partitions=None)
    await make(settings, 3, message_timestamp_type="LogAppendTime")
    log = KafkaLog(settings)
    with pytest.raises(Unavailable, match="not been looked at"):
        _ = log.partitions
    await log.prepare()
    assert log.partitions == 3
    await log.close()


async def test_publishers_time_is_refused_and_the_command_in_the_refusal_mends_it(settings: KafkaSettings) -> None:
    await make(settings, 2)
    with pytest.raises(TopicWrong, match=re.escape("has message.timestamp.type=CreateTime")) as refused:
        await prepare_topic(settings, events_topic(settings))
    await follow(settings, str(refused.value))
    assert await prepare_topic(settings, events_topic(settings)) == 2


async def test_everything_that_is_wrong_is_mended_by_one_command(settings: KafkaSettings) -> None:
    await make(settings, 2, cleanup_policy="compact,delete", max_message_bytes="100000")
    with pytest.raises(TopicWrong) as refused:
        await prepare_topic(settings, events_topic(settings))
    assert "cleanup.policy=compact" in str(refused.value)
    await follow(settings, str(refused.value))
    assert await prepare_topic(settings, events_topic(settings)) == 2
    config = await config_of(settings)
    assert (config["cleanup.policy"], config["message.timestamp.type"]) == ("delete", "LogAppendTime")
    assert int(config["max.message.bytes"]) > 256 * 1024


async def test_another_number_of_partitions_is_refused_for_it_cannot_be_mended(settings: KafkaSettings) -> None:
    await make(settings, 3, message_timestamp_type="LogAppendTime")
    with pytest.raises(TopicWrong, match="has 3 partitions, not 2") as refused:
        await prepare_topic(settings, events_topic(settings))
    assert "kafka-topics.sh --bootstrap-server" in str(refused.value)
    assert "--partitions 2 --config message.timestamp.type=LogAppendTime" in str(refused.value)


async def test_a_recorded_log_brings_its_own_time_and_is_not_dropped_for_its_age(settings: KafkaSettings) -> None:
    settings = msgspec.structs.replace(settings, log_time="create")
    log = KafkaLog(settings)
    await log.prepare()
    await log.prepare()
    assert not log.stamps
    config = await config_of(settings)
    assert (config["message.timestamp.type"], config["retention.ms"]) == ("CreateTime", "-1")
    await log.close()


async def test_a_secured_broker_is_named_with_the_options_that_the_tools_need(settings: KafkaSettings) -> None:
    secured = KafkaSettings(
        "broker:9093", security_protocol="SASL_SSL", sasl_username="segmentd", sasl_password="hidden"
    )
    said = other_number(secured, events_topic(secured)._replace(partitions=16), 4)
    assert "--command-config client.properties" in said
    assert "hidden" not in said + repr(secured)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"security_protocol": "TLS"}, "is one of PLAINTEXT, SSL"),
        ({"security_protocol": "SASL_SSL"}, "needs a user name and a password"),
        ({"security_protocol": "SASL_SSL", "sasl_mechanism": "GSSAPI"}, "is one of PLAIN, SCRAM"),
    ],
)
def test_settings_that_contradict_each_other_are_told(wrong: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        msgspec.structs.replace(KafkaSettings("broker:9092"), **wrong)


def test_connection_arguments_carry_the_security_settings() -> None:
    assert "ssl_context" not in KafkaSettings("b:1").connection("x")
    plain = KafkaSettings("b:1", security_protocol="SASL_PLAINTEXT", sasl_username="u", sasl_password="p")
    assert "ssl_context" not in plain.connection("x")
    assert plain.connection("x")["sasl_plain_password"] == "p"
    assert KafkaSettings("b:1", security_protocol="SSL").connection("x")["ssl_context"].check_hostname


async def test_a_log_that_could_not_be_prepared_looks_at_its_topic_before_it_reads_or_writes(
    settings: KafkaSettings,
) -> None:
    await make(settings, 2)
    log = KafkaLog(settings)
    with pytest.raises(TopicWrong, match="Mend it with"):
        await log.read({0: START}, 10, 10)
    with pytest.raises(Unavailable, match="Mend it with") as refused:
        await log.append([NewRecord(0, b"x")])
    await follow(settings, str(refused.value))
    (place,) = await log.append([NewRecord(0, b"x")])
    assert place.offset == 0
    await log.close()
