"""The Kafka client's own lines about what it tries again: while topics are made and groups form there are always some.

What counts is told otherwise: a child that fails says so, and `guard` looks at the output.
"""

from __future__ import annotations

import logging


def quiet() -> None:
    """Only what nobody tries again is said."""
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    for name in (
        "consumer.group_coordinator",
        "producer.sender",
    ):  # a coordinator being chosen is an error there
        logging.getLogger(f"aiokafka.{name}").setLevel(logging.CRITICAL)
