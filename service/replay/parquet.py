"""Events in Parquet: columns id, type, customer_id, ts, properties, and log_ts where it was archived.

`ts` and `log_ts` may be RFC 3339 text, timestamps, or integers of ms; `properties` JSON text, a struct or a map.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from rules.errors import EventRejected
from rules.events import RECORDED, Event, check_event, check_log_ts
from rules.times import format_instant
from service.cli.files import Unreadable

COLUMNS = ("id", "type", "customer_id", "ts", "properties", "log_ts")
NEEDED = ("id", "type", "customer_id", "ts")
_ROWS = 5_000  # read at a time


class ParquetRecording:
    """The rows of a Parquet file, in its order."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path = path
        self.size = path.stat().st_size
        try:
            self._parquet = pq.ParquetFile(file)
        except pa.ArrowException as error:
            raise Unreadable(f"{path}: is no Parquet file: {error}") from None
        schema = self._parquet.schema_arrow
        present = schema.names
        if missing := [name for name in NEEDED if name not in present]:
            raise Unreadable(f"{path}: has no column {', '.join(missing)}; there are {', '.join(present)}")
        self._columns = [name for name in COLUMNS if name in present]
        self._maps = "properties" in present and pa.types.is_map(schema.field("properties").type)
        self._rows: int = max(self._parquet.metadata.num_rows, 1)
        self._read = 0

    @property
    def done(self) -> int:
        return self.size * self._read // self._rows

    def records(self) -> Iterator[tuple[int, dict[str, Any]]]:
        try:
            for batch in self._parquet.iter_batches(_ROWS, columns=self._columns):
                for row in _with_instants(batch).to_pylist():
                    self._read += 1
                    yield self._read, row
        except pa.ArrowException as error:
            raise Unreadable(f"{self._path}: cannot be read after row {self._read}: {error}") from None

    def decode(self, record: dict[str, Any]) -> tuple[Event, int | None]:
        log_ts = check_log_ts(record.pop("log_ts", None))
        if type(record.get("ts")) is int:
            record["ts"] = _as_text(record["ts"])
        properties = record.get("properties")
        record["properties"] = _properties(dict(properties) if self._maps and properties is not None else properties)
        return check_event(record, log_ts, RECORDED), log_ts


def _with_instants(batch: Any) -> Any:
    """The batch with its timestamps as integers of ms (UTC where they name no zone)."""
    for name in ("ts", "log_ts"):
        place = batch.schema.get_field_index(name)
        if place >= 0 and pa.types.is_timestamp(batch.schema.field(place).type):
            zone = batch.schema.field(place).type.tz
            instants = batch.column(place).cast(pa.timestamp("ms", zone), safe=False).cast(pa.int64())
            batch = batch.set_column(place, name, instants)
    return batch


def _as_text(ms: int) -> str:
    try:
        return format_instant(ms)
    except (OverflowError, ValueError):
        raise EventRejected(f"{ms} is no instant in ms", "ts") from None


def _properties(value: Any) -> Any:
    if isinstance(value, str | bytes):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise EventRejected(f"is not JSON: {error}", "properties") from None
    return _plain(value)


def _plain(value: Any) -> Any:
    """What Parquet holds as JSON would: a struct's empty fields are missing, dates are text."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        if value and all(isinstance(each, tuple) and len(each) == 2 for each in value):  # a map
            return {key: _plain(inner) for key, inner in value if inner is not None}
        return [_plain(inner) for inner in value]
    if isinstance(value, datetime):
        return value.isoformat() + ("Z" if value.tzinfo is None else "")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value
