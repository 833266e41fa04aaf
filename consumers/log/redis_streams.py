"""The log as one Redis stream a partition; the milliseconds of a stream id are the log's timestamp."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from redis.exceptions import ResponseError

from consumers.log.port import LAG_RECORDS_MAX, START, Appended, Bounds, Lag, NewRecord, Offset, PositionOutside, Record
from consumers.state.keys import PARTITIONS, PartitionKeys
from consumers.state.store import BLOCK_MS_MAX, Run, Script, Store

_SEQ_BITS = 20
_SEQ_MASK = (1 << _SEQ_BITS) - 1
_APPEND, _LAG = (Script(name, package="consumers.log") for name in ("append", "lag"))
APPEND_RECORDS_MAX = 5_000  # of one partition in one script call: no call may hold the server up for long
_TRIM_RECORDS_MAX = 50_000  # a call and partition


class Retention(msgspec.Struct, frozen=True):
    """What the log keeps (on the embedded default it lies in memory as well as on disk)."""

    ms: int = 30 * 86_400_000
    records_max: int = 500_000  # a partition: some 150 MB of the server's memory


class RedisLog:
    """`partitions` is fixed when the log is first used; another number later is refused (`prepare`)."""

    stamps = True

    def __init__(self, store: Store, partitions: int, retention: Retention | None = None) -> None:
        self.partitions = partitions
        self._store = store
        self._retention = retention or Retention()
        self._streams = [PartitionKeys(p).log for p in range(partitions)]
        self._partition_of_stream = {key.encode(): p for p, key in enumerate(self._streams)}
        self._given: dict[int, Offset] = {}  # the last record that `read` gave, of each partition

    async def prepare(self) -> None:
        """Record the number of partitions. ValueError: the store was made with another, keeps nothing on disk, or is a
        cluster (no read spans the streams of several nodes)."""
        if await self._store.is_cluster():
            raise ValueError("the log cannot be on a Redis Cluster: set KAFKA_BOOTSTRAP_SERVERS, or use one server")
        try:
            await self._store.call("WAITAOF", 1, 0, 1)
        except ResponseError as error:
            raise ValueError(f"the server must keep an append-only file (appendonly yes): {error}") from error
        await self._store.call("SET", PARTITIONS, self.partitions, "NX")
        recorded = int(await self._store.call("GET", PARTITIONS))
        if recorded != self.partitions:
            raise ValueError(f"the log has {recorded} partitions, not {self.partitions}: the number cannot change")

    async def append(self, records: Sequence[NewRecord]) -> list[Appended]:
        runs, order = self._runs(records)
        return _places(await self._store.run_durably(runs), order, len(records)) if records else []

    async def append_own(self, records: Sequence[NewRecord]) -> list[Appended]:
        runs, order = self._runs(records)
        answers = [await self._store.run(*run) for run in runs]
        return _places(answers, order, len(records))

    def _runs(self, records: Sequence[NewRecord]) -> tuple[list[Run], list[tuple[int, list[int]]]]:
        """The script calls, and for each its partition and which of `records` it carries."""
        indexes: dict[int, list[int]] = {}
        for index, entry in enumerate(records):
            indexes.setdefault(entry.partition, []).append(index)
        runs, order = [], []
        for partition, mine in indexes.items():
            for at in range(0, len(mine), APPEND_RECORDS_MAX):
                chunk = mine[at : at + APPEND_RECORDS_MAX]
                payloads = [records[index].payload for index in chunk]
                lengths = msgspec.msgpack.encode([len(payload) for payload in payloads])
                runs.append(Run(_APPEND, [self._streams[partition]], [lengths, b"".join(payloads)]))
                order.append((partition, chunk))
        return runs, order

    async def read(self, positions: Mapping[int, Offset], records_max: int, wait_ms: int) -> list[Record]:
        await self._check({p: at for p, at in positions.items() if at not in (START, self._given.get(p))})
        records = await self._read(positions, records_max, wait_ms)
        self._given |= positions
        self._given |= {record.partition: record.offset for record in records}
        return records

    async def _check(self, positions: Mapping[int, Offset]) -> None:
        """Positions that `read` did not give itself. What follows one is all there if its own record is, which `trim`
        leaves; Redis says nothing of records that are gone."""
        if not positions:
            return
        all_bounds = await self.bounds()
        for partition, position in positions.items():
            bounds = all_bounds[partition]
            if bounds.miss(position):
                first = bounds.first.offset if bounds.first else bounds.last + 1
                raise PositionOutside(partition, position, first, bounds.last if bounds.first else START)

    async def _read(self, positions: Mapping[int, Offset], records_max: int, wait_ms: int) -> list[Record]:
        command: list[str | int] = ["XREAD", "COUNT", records_max]
        if wait_ms > 0:
            command += ["BLOCK", min(wait_ms, BLOCK_MS_MAX)]
        command.append("STREAMS")
        command += [self._streams[p] for p in positions]
        command += [_stream_id(offset) for offset in positions.values()]
        records: list[Record] = []
        for stream, entries in await self._store.call(*command) or ():
            partition = self._partition_of_stream[stream]
            add, last = records.append, b""
            for entry_id, fields in entries:
                ms, _, seq = entry_id.partition(b"-")
                if ms != last:  # many share their millisecond
                    last, at = ms, int(ms)
                    base = at << _SEQ_BITS
                add(Record(partition, base | int(seq), at, fields[1]))
        return records

    async def reread(self, partition: int, position: Offset, records_max: int) -> list[Record]:
        return await self._read({partition: position}, records_max, 0)

    async def bounds(self) -> list[Bounds]:
        return [_bounds(p, info) for p, info in enumerate(await self._infos())]

    async def _infos(self) -> list[dict[bytes, Any]]:
        """XINFO of every stream; empty for one that has never been written."""
        infos = []
        for stream in self._streams:
            try:
                flat = await self._store.call("XINFO", "STREAM", stream)
            except ResponseError as error:
                if "no such key" not in str(error):
                    raise
                flat = []
            infos.append(dict(zip(flat[::2], flat[1::2], strict=True)))
        return infos

    async def lags(self, positions: Mapping[int, Offset], records_max: int = LAG_RECORDS_MAX) -> dict[int, Lag]:
        lags = {}
        for partition, position in positions.items():
            run = Run(_LAG, [self._streams[partition]], [_stream_id(position), records_max])
            newest, behind = await self._store.run(*run)
            end = _offset(newest) if newest else START
            lags[partition] = Lag(end, behind, max(0, end >> _SEQ_BITS))
        return lags

    async def trim(self, behind: Mapping[int, Offset]) -> int:
        gone = 0
        for partition, info in enumerate(await self._infos()):
            if info and partition in behind:
                keep_from = min(await self._retained(partition, info), behind[partition])
                minimum = _stream_id(keep_from)
                gone += int(await self._store.call("XTRIM", self._streams[partition], "MINID", "~", minimum))
        return gone

    async def close(self) -> None:
        """Nothing: the store is closed by whoever opened it."""

    async def _retained(self, partition: int, info: Mapping[bytes, Any]) -> Offset:
        """The first offset that retention keeps, by the log's own time and by number."""
        newest = _offset(info[b"last-generated-id"])
        by_age = max(0, (newest >> _SEQ_BITS) - self._retention.ms) << _SEQ_BITS
        excess = min(int(info[b"length"]) - self._retention.records_max, _TRIM_RECORDS_MAX)
        if excess <= 0:
            return by_age
        oldest = await self._store.call("XRANGE", self._streams[partition], "-", "+", "COUNT", excess + 1)
        return max(by_age, _offset(oldest[-1][0]))


def _stream_id(offset: Offset) -> str:
    return f"{offset >> _SEQ_BITS}-{offset & _SEQ_MASK}" if offset >= 0 else "0-0"


def _offset(entry_id: bytes) -> Offset:
    ms, _, seq = entry_id.partition(b"-")
    return int(ms) << _SEQ_BITS | int(seq)


def _place(partition: int, entry_id: bytes) -> Appended:
    offset = _offset(entry_id)
    return Appended(partition, offset, offset >> _SEQ_BITS)


def _places(answers: Sequence[bytes], order: Sequence[tuple[int, list[int]]], count: int) -> list[Appended]:
    """Each record's place, in the order given: a call's records have consecutive offsets."""
    places: list[Appended | None] = [None] * count
    for answer, (partition, indexes) in zip(answers, order, strict=True):
        first = _offset(answer)
        for nth, index in enumerate(indexes):
            places[index] = Appended(partition, first + nth, first >> _SEQ_BITS)
    return [place for place in places if place is not None]


def _bounds(partition: int, info: Mapping[bytes, Any]) -> Bounds:
    if not info:
        return Bounds(None, START)
    first = info[b"first-entry"]
    last = _offset(info[b"last-generated-id"])
    return Bounds(_place(partition, first[0]) if first else None, last or START)
