"""Dead letters: records that could not be taken, kept as they came, with the reason and where they stood.

Here are what one is, and the two ports. With Kafka a topic holds them (`consumers/log/kafka/dead_letters.py`), without
the store's streams (`consumers/state/dead_letter_box.py`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol

import msgspec

from consumers.log.port import Offset

REASON_CHARS_MAX = 500


class Origin(NamedTuple):
    """Where a record stood: the log, or a source's topic."""

    topic: str
    partition: int
    offset: Offset
    timestamp_ms: int

    def __str__(self) -> str:
        return f"{self.topic}:{self.partition}:{self.offset}@{self.timestamp_ms}"


def parse_origin(text: str) -> Origin | None:
    """
    What `str(origin)` wrote; None for anything else.

    >>> parse_origin("shop.orders:3:17@1700000000000")
    Origin(topic='shop.orders', partition=3, offset=17, timestamp_ms=1700000000000)
    >>> parse_origin("shop.orders")
    """
    place, _, timestamp_ms = text.rpartition("@")
    parts = place.rsplit(":", 2)
    if len(parts) != 3:
        return None
    try:
        return Origin(parts[0], int(parts[1]), int(parts[2]), int(timestamp_ms))
    except ValueError:
        return None


class DeadLetter(msgspec.Struct, frozen=True):
    """`raw` and `key` are the bytes as they came (None: it had none). `source`: the topic it was read from.

    `id` names it where it is kept, "" as long as it is not. `cut_bytes`: the full size of a value too large to be
    kept whole, of which `raw` is the beginning; 0 usually.
    """

    source: str
    origin: Origin
    reason: str
    raw: bytes | None
    key: bytes | None = None
    traceparent: str = ""
    id: str = ""
    cut_bytes: int = 0
    put_ms: int = 0  # when it was put, once it was


class DeadLetterSink(Protocol):
    """Where dead letters go."""

    async def put(self, letters: Sequence[DeadLetter]) -> None:
        """Durable when this returns. Raises Unavailable: some may be there all the same, and stand twice then."""
        ...


class DeadLetterBox(Protocol):
    """Where they are read again. Letters that were taken back in are shown no more. Calls may raise Unavailable."""

    def newest_first(self) -> AsyncIterator[DeadLetter]: ...

    def oldest_first(self) -> AsyncIterator[DeadLetter]:
        """Those that are there when this begins."""
        ...

    async def taken_back(self, letters: Sequence[DeadLetter]) -> None:
        """These are in the log now; durable when this returns."""
        ...

    async def close(self) -> None:
        """Let go of connections that are its own; no call afterwards."""
        ...
