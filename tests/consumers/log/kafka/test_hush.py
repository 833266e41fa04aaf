"""aiokafka's own log lines come once a minute, and every text once."""

from __future__ import annotations

import logging
from types import ModuleType

import pytest
from aiokafka import admin, client, cluster, conn, consumer
from aiokafka.consumer import group_coordinator
from aiokafka.producer import sender

from consumers.log.kafka.hush import AGAIN_S, OnceAMinute, hush


def line(text: str, at_s: float, *values: object) -> logging.LogRecord:
    record = logging.LogRecord("aiokafka.client", logging.ERROR, "", 0, text, values, None)
    record.created = at_s
    return record


def test_the_same_text_comes_once_a_minute_whatever_it_names() -> None:
    once = OnceAMinute()
    assert once.filter(line("no connection to %s", 1000.0, "a"))
    assert not once.filter(line("no connection to %s", 1000.1, "b"))
    assert once.filter(line("another text", 1000.1))
    assert not once.filter(line("no connection to %s", 1000.0 + AGAIN_S - 1, "a"))
    assert once.filter(line("no connection to %s", 1000.0 + AGAIN_S, "a"))


@pytest.mark.parametrize(
    "module", [admin.client, client, cluster, conn, consumer.consumer, consumer.fetcher, group_coordinator, sender]
)
def test_it_is_put_once_on_the_logger_that_a_module_of_the_client_has(module: ModuleType) -> None:
    hush()
    hush()
    assert sum(isinstance(each, OnceAMinute) for each in module.log.filters) == 1
