"""Lists over all partitions, read page by page: the next row is the first of what the partitions have next."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
Row = tuple[tuple[int, int], str, T | None]
"""What it is ordered by, its place in its partition, and itself (None: it is left out)."""
Reader = Callable[[str], Awaitable[list[tuple[tuple[int, int], str, T | None]]]]


class Column(Generic[T]):
    """One partition's rows after a place, read as needed."""

    def __init__(self, read: Reader[T], place: str) -> None:
        self.place = place
        self._read = read
        self._rows: list[Row[T]] = []
        self._from = place

    async def head(self) -> Row[T] | None:
        """The next row that is not left out."""
        while True:
            while self._rows:
                if self._rows[0][2] is not None:
                    return self._rows[0]
                self.place = self._rows.pop(0)[1]
            self._rows = list(await self._read(self._from))
            if not self._rows:
                return None
            self._from = self._rows[-1][1]

    def take(self) -> T:
        _, self.place, row = self._rows.pop(0)
        assert row is not None, "head() has looked"
        return row


async def merge(columns: Sequence[Column[T]], limit: int) -> tuple[list[T], list[str]]:
    """The first rows over all columns, and the places after them."""
    found: list[T] = []
    while len(found) < limit:
        heads = [(await column.head(), column) for column in columns]
        some = [(head[0], at, column) for at, (head, column) in enumerate(heads) if head is not None]
        if not some:
            break
        found.append(min(some, key=lambda each: each[:2])[2].take())
    return found, [column.place for column in columns]
