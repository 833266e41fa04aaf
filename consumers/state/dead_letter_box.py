"""The dead letters of the store's streams, as `consumers/log/dead_letters.DeadLetterBox` reads them: without Kafka."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from consumers.log.dead_letters import DeadLetter, Origin
from consumers.state.dead_letters import DeadLetter as Stored
from consumers.state.dead_letters import read_dead_letters
from consumers.state.keys import PartitionKeys
from consumers.state.store import Store

LOG = "log"
"""The only source there is: the log itself."""

_PAGE = 100


class StoreDeadLetters:
    """A letter that was taken back is deleted."""

    def __init__(self, store: Store, partitions: int) -> None:
        self._store = store
        self._keys = [PartitionKeys(number) for number in range(partitions)]

    async def newest_first(self) -> AsyncIterator[DeadLetter]:
        cursor: str | None = None
        while True:
            page = await read_dead_letters(self._store, self._keys, _PAGE, cursor)
            for stored in page.letters:
                yield _letter(stored)
            cursor = page.cursor
            if cursor is None:
                return

    async def oldest_first(self) -> AsyncIterator[DeadLetter]:
        """Partition by partition."""
        for number, keys in enumerate(self._keys):
            newest = await self._store.call("XREVRANGE", keys.dead, "+", "-", "COUNT", 1)
            if newest:
                async for letter in self._between(number, keys, newest[0][0].decode()):
                    yield letter

    async def _between(self, number: int, keys: PartitionKeys, end: str) -> AsyncIterator[DeadLetter]:
        start = "-"
        while True:
            entries: list[Any] = await self._store.call("XRANGE", keys.dead, start, end, "COUNT", _PAGE)
            for key, flat in entries:
                fields = dict(zip(flat[::2], flat[1::2], strict=True))
                offset, _, timestamp_ms = fields[b"origin"].decode().partition("@")
                reason = fields[b"reason"].decode(errors="replace")
                stored = Stored(
                    f"{number}:{key.decode()}", number, int(offset), int(timestamp_ms), reason, fields[b"raw"]
                )
                yield _letter(stored)
            if len(entries) < _PAGE:
                return
            start = f"({entries[-1][0].decode()}"

    async def taken_back(self, letters: Sequence[DeadLetter]) -> None:
        by_partition: dict[int, list[str]] = {}
        for letter in letters:
            partition, _, key = letter.id.partition(":")
            by_partition.setdefault(int(partition), []).append(key)
        for number, keys in by_partition.items():
            await self._store.call("XDEL", self._keys[number].dead, *keys)

    async def close(self) -> None:
        """Nothing: the store is closed by whoever opened it."""


def _letter(stored: Stored) -> DeadLetter:
    return DeadLetter(
        source=LOG,
        origin=Origin(LOG, stored.partition, stored.offset, stored.timestamp_ms),
        reason=stored.reason,
        raw=stored.raw,
        id=stored.id,
        put_ms=int(stored.id.partition(":")[2].partition("-")[0]),
    )
