"""aiokafka's own log lines come once a minute, and every text once."""

from __future__ import annotations

import logging

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


def test_it_is_put_on_the_clients_loggers_once() -> None:
    hush()
    hush()
    filters = logging.getLogger("aiokafka.consumer.fetcher").filters
    assert sum(isinstance(each, OnceAMinute) for each in filters) == 1
