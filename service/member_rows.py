"""The rows of a CSV file of members: what its columns are; each row as a change by hand, or its mistakes, located."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import NamedTuple, get_args

from consumers.state.imports import RowMistake
from rules.errors import EventRejected
from rules.events import check_instant, shown
from rules.limits import CUSTOMER_ID_CHARS_MAX
from service.by_hand import Action
from service.csv_rows import Records, Row, RowWrong, delimiter_of, fields

CUSTOMER, ACTION, UNTIL = "customer_id", "action", "until"
COLUMNS = (CUSTOMER, ACTION, UNTIL)
_EXPORTED = ("since",)  # what an export has besides: looked at by nobody
_ACTIONS: dict[str, Action] = {"": "add", **{action: action for action in get_args(Action)}}
_TAKES = f"the columns are {', '.join(COLUMNS)} (the last two may be left out)"


class MemberRow(NamedTuple):
    """What one row asks for; `until` in ms."""

    row: int
    customer: str
    action: Action
    until: int | None


class HeaderWrong(Exception):
    """The file as a whole cannot be read: its first row does not say what the columns are."""

    def __init__(self, mistake: RowMistake) -> None:
        super().__init__(mistake.error)
        self.mistake = mistake


class MemberRows:
    """Reads a file piece by piece. `feed` and `end` give each row as it is or what is wrong with it.

    Raises HeaderWrong. `ignore_columns`: columns that nobody knows are passed over instead of refused.
    """

    def __init__(self, now_ms: int, *, ignore_columns: bool = False) -> None:
        self._records = Records()
        self._now_ms = now_ms
        self._ignore = ignore_columns
        self._places: list[int | None] | None = None  # of COLUMNS
        self._width = 0

    def feed(self, piece: bytes) -> Iterator[MemberRow | list[RowMistake]]:
        return self._read(self._records.feed(piece))

    def end(self) -> Iterator[MemberRow | list[RowMistake]]:
        yield from self._read(self._records.end())
        if self._places is None:
            raise HeaderWrong(RowMistake(1, "", f"the file is empty: its first row names the columns; {_TAKES}"))

    def _read(self, records: Iterator[Row | RowWrong]) -> Iterator[MemberRow | list[RowMistake]]:
        try:
            for record in records:
                if isinstance(record, Row) and not record.raw.strip():
                    continue
                if self._places is None:
                    self._header(record)
                elif isinstance(record, RowWrong):
                    yield [RowMistake(record.row, "", record.message)]
                elif (found := self._row(record)) is not None:
                    yield found
        except RowWrong as error:  # the file as a whole
            raise HeaderWrong(RowMistake(error.row, "", error.message)) from None

    def _header(self, record: Row | RowWrong) -> None:
        if isinstance(record, RowWrong):
            raise HeaderWrong(RowMistake(record.row, "", record.message))
        if record.raw.lower().startswith(b"sep="):  # what Excel puts in front
            return
        delimiter = delimiter_of(record, CUSTOMER)
        if delimiter is None:
            raise HeaderWrong(RowMistake(record.row, CUSTOMER, f"is no column of the first row: {_TAKES}"))
        names = [name.strip().lower() for name in fields(record, delimiter)]
        for place, name in enumerate(names):
            if names.index(name) != place and name in COLUMNS:
                raise HeaderWrong(RowMistake(record.row, name, "is a column twice"))
            if name and name not in COLUMNS + _EXPORTED and not self._ignore:
                raise HeaderWrong(RowMistake(record.row, name[:64], _unknown(name)))
        self._records.delimiter = delimiter
        self._width = len(names)
        self._places = [names.index(name) if name in names else None for name in COLUMNS]

    def _row(self, record: Row) -> MemberRow | list[RowMistake] | None:
        """None for a row of empty cells, as spreadsheets leave them."""
        assert self._places is not None
        assert self._records.delimiter is not None
        try:
            cells = fields(record, self._records.delimiter)
        except RowWrong as error:
            return [RowMistake(error.row, "", error.message)]
        if not any(cells):
            return None
        if len(cells) != self._width:
            return [RowMistake(record.row, "", f"has {len(cells)} columns, but the first row has {self._width}")]
        return self._checked(record.row, *(cells[place] if place is not None else "" for place in self._places))

    def _checked(self, row: int, customer: str, action: str, until: str) -> MemberRow | list[RowMistake]:
        mistakes: list[RowMistake] = []
        if wrong := _customer_wrong(customer):
            mistakes.append(RowMistake(row, CUSTOMER, wrong))
        wanted = _ACTIONS.get(action.strip().lower())
        if wanted is None:
            mistakes.append(RowMistake(row, ACTION, f"{shown(action)} is none of add, remove, clear"))
        until_ms: int | None = None
        if until.strip():
            try:
                until_ms = self._until(until.strip(), wanted)
            except EventRejected as error:
                mistakes.append(RowMistake(row, UNTIL, error.reason))
        return MemberRow(row, customer, wanted, until_ms) if wanted and not mistakes else mistakes

    def _until(self, text: str, action: Action | None) -> int:
        until = check_instant(text, UNTIL)
        if until <= self._now_ms:
            raise EventRejected(f"{shown(text)} has passed already")
        if action == "clear":
            raise EventRejected("clearing is at once and for good: leave `until` empty")
        return until


def _customer_wrong(customer: str) -> str:
    """ "" where nothing is."""
    if not customer:
        return f"is empty; 1 to {CUSTOMER_ID_CHARS_MAX} characters are needed"
    if len(customer) > CUSTOMER_ID_CHARS_MAX:
        return f"has {len(customer)} characters; at most {CUSTOMER_ID_CHARS_MAX} are allowed"
    return "begins or ends with a blank: take it out" if customer != customer.strip() else ""


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, COLUMNS, 1)
    if near:
        return f"is no column: did you mean `{near[0]}`?"
    return f"is no column: {_TAKES}; `?ignore_columns=true` passes over others"
