"""CSV as it comes in: bytes to numbered records in bounded memory, whatever a spreadsheet made of them.

UTF-8 with or without a byte order mark; separated by comma, semicolon, tab or bar (as the header shows); lines end with
LF or CRLF; a field in quotes may hold separators, line ends, and quotes twice. A record that is none is told with its
row, and the next line is read on its own: one stray quote does not swallow the file.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

RECORD_BYTES_MAX = 64 * 1024
"""Of one record: what an unclosed quote may keep waiting. A row of this service's own has 200 bytes."""
DELIMITERS = (",", ";", "\t", "|")
_QUOTES = "a quote stands inside the row: quotes go around a whole field, twice inside"
_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class Row(NamedTuple):
    """One record. `row` counts as spreadsheets do: the header is row 1, blank rows count."""

    row: int
    raw: bytes


class RowWrong(Exception):
    """A record that cannot be read. `row` as in `Row`; the message says what would be right."""

    def __init__(self, row: int, message: str) -> None:
        super().__init__(message)
        self.row = row
        self.message = message


class Records:
    """Cuts CSV into records: `feed` every piece, then `end`. Keeps one record at most, and the piece."""

    def __init__(self) -> None:
        self._rest = b""
        self._row = 0
        self._begun = False
        self._skipping = False  # the rest of a line that is too long
        self.delimiter: str | None = None  # any of them, until who reads the header sets it

    def feed(self, piece: bytes) -> Iterator[Row | RowWrong]:
        data = self._rest + piece
        if not self._begun:
            if len(data) < len(_BOM):
                self._rest = data
                return
            data = self._begin(data)
        if self._skipping:
            _, found, data = data.partition(b"\n")
            self._skipping = not found
        yield from self._cut(data, last=False)

    def end(self) -> Iterator[Row | RowWrong]:
        """What is left when the file is over: a last line needs no line end."""
        data, self._rest = self._rest, b""
        if not self._begun:
            data = self._begin(data)
        yield from self._cut(data, last=True)

    def _begin(self, data: bytes) -> bytes:
        self._begun = True
        if data.startswith(_UTF_16):
            raise RowWrong(1, "the file is UTF-16: save it as `CSV UTF-8`")
        return data.removeprefix(_BOM)

    def _cut(self, data: bytes, *, last: bool) -> Iterator[Row | RowWrong]:
        """The records of `data`; what is not whole yet is kept."""
        self._rest = b""
        lines = data.split(b"\n")
        if last and not lines[-1]:
            lines.pop()
        tail = b"" if last else lines.pop()
        at = 0
        while at < len(lines):
            line = lines[at]
            if b'"' not in line:
                at += 1
                self._row += 1
                yield Row(self._row, line.removesuffix(b"\r"))
                continue
            size = self._size(lines, at)
            if size is None:  # a quote is open at the end of what there is
                rest = b"\n".join([*lines[at:], tail]) if not last else b"\n".join(lines[at:])
                if not last and len(rest) <= RECORD_BYTES_MAX:
                    self._rest = rest
                    return
                size = 0
            self._row += 1
            if size == 0:
                yield RowWrong(self._row, _QUOTES)
            else:
                yield Row(self._row, b"\n".join(lines[at : at + size]).removesuffix(b"\r"))
            at += max(1, size)
        if len(tail) > RECORD_BYTES_MAX:
            self._row += 1
            self._skipping = True
            why = f"the row has more than {RECORD_BYTES_MAX // 1024} KiB, or its lines do not end with LF or CRLF"
            yield RowWrong(self._row, why)
        else:
            self._rest = tail

    def _size(self, lines: list[bytes], at: int) -> int | None:
        """How many lines the record has that begins at `at`; 0: it is none. None: more than there are."""
        quotes = size_bytes = 0
        for end in range(at, len(lines)):
            quotes += lines[end].count(b'"')
            size_bytes += len(lines[end]) + 1
            if size_bytes > RECORD_BYTES_MAX:
                return 0
            if quotes % 2 == 0:
                record = b"\n".join(lines[at : end + 1]).removesuffix(b"\r")
                return end + 1 - at if _record(self.delimiter).fullmatch(record) else 0
        return None


@cache
def _record(delimiter: str | None) -> re.Pattern[bytes]:
    """What a record looks like, as bytes (no byte of a longer UTF-8 character looks like a delimiter or a quote)."""
    apart = re.escape(delimiter or "".join(DELIMITERS)).encode()
    field = rb'(?:"[^"]*(?:""[^"]*)*"|[^"' + apart + rb"]*)"
    return re.compile(field + rb"(?:[" + apart + rb"]" + field + rb")*", re.DOTALL)


def fields(row: Row, delimiter: str) -> list[str]:
    """The record's fields, unquoted. Raises RowWrong.

    >>> fields(Row(2, b'1;"a ""b"";c";'), ";")
    ['1', 'a "b";c', '']
    """
    try:
        text = row.raw.decode()
    except UnicodeDecodeError:
        raise RowWrong(row.row, "is not UTF-8: save the file as `CSV UTF-8`") from None
    if '"' not in text:
        return text.split(delimiter)
    if not _record(delimiter).fullmatch(row.raw):
        raise RowWrong(row.row, _QUOTES)
    try:
        [found] = csv.reader([text], delimiter=delimiter, strict=True)
    except (csv.Error, ValueError):  # a line end of old Macs outside of quotes
        raise RowWrong(row.row, "a line end stands inside the row: lines end with LF or CRLF") from None
    return found


def delimiter_of(row: Row, column: str) -> str | None:
    """What separates this header, which has a column of that name; None where no separator gives it one.

    >>> delimiter_of(Row(1, b"customer_id;until"), "customer_id")
    ';'
    """
    for delimiter in DELIMITERS:
        try:
            names = [name.strip().lower() for name in fields(row, delimiter)]
        except RowWrong:
            continue
        if column in names:
            return delimiter
    return None
