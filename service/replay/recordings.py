"""Recorded event files, read as a stream: `.jsonl`, `.jsonl.gz` (also `.ndjson`) and `.parquet`."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from rules.events import Event
from rules.records import decode_line
from service.cli.files import Unreadable

LINE_BYTES_MAX = 64 * 1024 * 1024  # no event is that large: a file without line ends is not read into memory whole


LINES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
PARQUET = ".parquet"


class Recording(Protocol):
    """A file of events. `size` and `done` are bytes, for progress."""

    size: int

    @property
    def done(self) -> int: ...

    def records(self) -> Iterator[tuple[int, Any]]:
        """(line or row, from 1; the record as `decode` takes it). Raises Unreadable where the file breaks off."""
        ...

    def decode(self, record: Any) -> tuple[Event, int | None]:
        """The event and its `log_ts` (ms) where it has one; raises EventRejected."""
        ...


@contextmanager
def open_recording(path: Path) -> Iterator[Recording]:
    """The recording in a file, by its ending. Raises Unreadable."""
    if not path.name.endswith((*LINES, PARQUET)):
        raise Unreadable(f"{path}: a recording ends in .jsonl, .jsonl.gz or .parquet")
    try:
        file = path.open("rb")
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror or error}") from None
    with file:
        if path.name.endswith(LINES):
            yield LineRecording(path, file)
            return
        from service.replay.parquet import ParquetRecording  # pyarrow takes its time to load

        yield ParquetRecording(path, file)


class LineRecording:
    """One JSON object a line, blank lines left out."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path, self._file = path, file
        self.size = path.stat().st_size

    @property
    def done(self) -> int:
        return self._file.tell()

    def records(self) -> Iterator[tuple[int, bytes]]:
        packed = self._path.suffix == ".gz"
        lines: Any = gzip.GzipFile(fileobj=self._file, mode="rb") if packed else self._file
        number = 0
        try:
            while line := lines.readline(LINE_BYTES_MAX):
                number += 1
                if len(line) == LINE_BYTES_MAX:
                    raise Unreadable(f"{self._path}:{number}: the line has more than {LINE_BYTES_MAX} bytes")
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if not line.isspace():
                    yield number, line
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise Unreadable(f"{self._path}: the compressed file is damaged after line {number}: {error}") from None

    def decode(self, record: bytes) -> tuple[Event, int | None]:
        return decode_line(record)
