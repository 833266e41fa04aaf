"""aiokafka's own log lines, each at most once a minute: while brokers are away it says the same many times a second."""

from __future__ import annotations

import logging

AGAIN_S = 60.0
_LOGGERS = (
    "aiokafka",  # of the client itself, which tries to connect and asks for metadata
    "aiokafka.admin.client",
    "aiokafka.cluster",
    "aiokafka.conn",
    "aiokafka.consumer.consumer",
    "aiokafka.consumer.fetcher",
    "aiokafka.consumer.group_coordinator",
    "aiokafka.producer.producer",
    "aiokafka.producer.sender",
)


class OnceAMinute(logging.Filter):
    """Drops a line whose text (before names and numbers are put in) this logger has said within AGAIN_S."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        text = str(record.msg)
        fresh = record.created - self._said.get(text, float("-inf")) >= AGAIN_S
        if fresh:
            self._said[text] = record.created
        return fresh


def hush() -> None:
    """Once is enough; more does no harm."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(each, OnceAMinute) for each in logger.filters):
            logger.addFilter(OnceAMinute())
