"""The topic of transitions as the relay sees it: publish in one transaction, fence another's, read the tail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple, Protocol

import msgspec

from consumers.log.port import Offset
from rules.errors import SegmentdError


class Fenced(SegmentdError):
    """Another process fenced this one's transactional id: for it took a partition over."""


class Place(NamedTuple):
    """Where in the outbox a published transition stands: `nth` (from 0) within commit `commit`.

    `position`: the log's position as of that commit. `number`: the running number in the topic's partition, from 1.
    """

    commit: int
    nth: int
    position: Offset
    number: int


class Outgoing(NamedTuple):
    """A transition to publish: `key` the customer's id, `value` the CloudEvent, `traceparent` "" for none."""

    key: bytes
    value: bytes
    place: Place
    traceparent: str = ""


class Published(msgspec.Struct, frozen=True, gc=False):
    """A transition that the topic holds: its offset there, a digest of its value (`digest_of`), and its place."""

    offset: Offset
    digest: bytes
    place: Place


def digest_of(value: bytes) -> bytes:
    """16 bytes that tell whether two renderings are the same."""
    return blake2b(value, digest_size=16).digest()


class Outlet(Protocol):
    """The topic, with as many partitions as the log. Every call ends within a bounded time, and may raise
    `rules.errors.Unavailable`; the next call may then succeed (after a failed `publish`: `open()` first)."""

    @property
    def name(self) -> str:
        """This process's transactional id."""
        ...

    async def open(self) -> None:
        """(Re)initialise the own transactional id: ends whatever transaction it had open, fences its other holders."""
        ...

    async def publish(self, batches: Mapping[int, Sequence[Outgoing]]) -> None:
        """All of it in one transaction, partition -> in order; read-committed readers see it a moment after it returns.

        Raises Fenced, or Unavailable: then it may stand or not. `open()` again, and look at the tails.
        """
        ...

    async def fence(self, name: str) -> None:
        """End the transaction that the holder of this transactional id has open; its next publish raises Fenced."""
        ...

    async def tail(self, partition: int) -> Published | None:
        """The newest published transition; None when the partition holds none (any more).

        Unavailable while anybody has a transaction open at the partition's end: what is the newest is not decided then.
        """
        ...

    async def published(self, partition: int, after_commit: int) -> dict[str, Published]:
        """By transition id, all that the partition still holds whose commit is greater than `after_commit`."""
        ...

    async def value(self, partition: int, offset: Offset) -> bytes:
        """The value of one published transition."""
        ...

    async def close(self) -> None: ...
