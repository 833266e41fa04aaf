"""CSV as spreadsheets write it: cut into records whatever the pieces, and one bad row is one bad row."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.csv_rows import RECORD_BYTES_MAX, Records, Row, RowWrong, delimiter_of, fields


def read(text: bytes, piece: int, delimiter: str | None = ",") -> list[list[str] | RowWrong]:
    """All records, fed in pieces of so many bytes."""
    records = Records()
    records.delimiter = delimiter
    found: list[Row | RowWrong] = []
    for at in range(0, len(text), piece):
        found += records.feed(text[at : at + piece])
    found += records.end()
    return [each if isinstance(each, RowWrong) else cells(each, delimiter or ",") for each in found]


def cells(row: Row, delimiter: str) -> list[str] | RowWrong:
    try:
        return fields(row, delimiter)
    except RowWrong as error:
        return error


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@given(
    rows=st.lists(st.lists(CELLS, min_size=2, max_size=4), max_size=6),
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
    piece=st.integers(1, 20),
)
def test_what_a_csv_writer_writes_is_read_whatever_the_pieces(
    rows: list[list[str]], delimiter: str, end: str, piece: int
) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(rows)
    assert read(out.getvalue().encode(), piece, delimiter) == rows


@given(text=st.text('ab",;\t|\r\n ü', max_size=60), piece=st.integers(1, 20))
def test_whatever_comes_is_read_and_the_pieces_do_not_matter(text: str, piece: int) -> None:
    whole = read(text.encode(), 1000)
    assert [_told(each) for each in read(text.encode(), piece)] == [_told(each) for each in whole]
    for found in whole:
        assert isinstance(found, RowWrong) or all(isinstance(cell, str) for cell in found)


def _told(found: list[str] | RowWrong) -> object:
    return (found.row, found.message) if isinstance(found, RowWrong) else found


@pytest.mark.parametrize("piece", [1, 2, 7, 1000])
@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"", []),
        (b"a", [["a"]]),
        (b"a\n", [["a"]]),
        (b"\xef\xbb\xbfa,b\r\n1,2", [["a", "b"], ["1", "2"]]),
        (b'"a\nb",2\n3,4\n', [["a\nb", "2"], ["3", "4"]]),
        (b'"a\r\nb",2\r\n', [["a\r\nb", "2"]]),
        (b'"","x""y"\n', [["", 'x"y']]),
        (b"a\n\nb\n", [["a"], [""], ["b"]]),
    ],
)
def test_records_are_cut_where_they_end(piece: int, text: bytes, found: list[list[str]]) -> None:
    assert read(text, piece) == found


@pytest.mark.parametrize("piece", [1, 5, 1000])
@pytest.mark.parametrize(
    ("text", "good", "bad"),
    [
        (b'a\nO"Neil\nb\nc\n', [["a"], ["b"], ["c"]], [2]),
        (b'a\n"open\nb\nc\n', [["a"], ["b"], ["c"]], [2]),
        (b'a\n"x"y\nb\n', [["a"], ["b"]], [2]),
        (b'a\n5" 6"\nb\n', [["a"], ["b"]], [2]),
        (b'a\nO"Neil\nb\n"c","d"\nM"x\n', [["a"], ["b"], ["c", "d"]], [2, 5]),
        (b"a\n\xff\xfe\nb\n", [["a"], ["b"]], [2]),
        (b'a\nx\ry,"z"\nb\n', [["a"], ["b"]], [2]),
    ],
)
def test_a_row_that_is_none_costs_that_row_alone(
    piece: int, text: bytes, good: list[list[str]], bad: list[int]
) -> None:
    found = read(text, piece)
    assert [each for each in found if not isinstance(each, RowWrong)] == good
    assert [each.row for each in found if isinstance(each, RowWrong)] == bad


@pytest.mark.parametrize("line", [b"x" * (3 * RECORD_BYTES_MAX), b'"' + b"x\n" * RECORD_BYTES_MAX])
def test_a_record_without_end_is_kept_no_longer_than_the_bound(line: bytes) -> None:
    records = Records()
    found: list[Row | RowWrong] = []
    for piece in [b"a\n", *(line[at : at + 1000] for at in range(0, len(line), 1000)), b"\nb\n"]:
        found += records.feed(piece)
        assert len(records._rest) <= RECORD_BYTES_MAX
    found += records.end()
    wrong = [each for each in found if isinstance(each, RowWrong)]
    assert [each.row for each in wrong] == [2]
    assert found[-1] == Row(len(found), b"b")


def test_utf_16_is_told_as_such() -> None:
    with pytest.raises(RowWrong, match="UTF-16"):
        read("customer_id\nana\n".encode("utf-16"), 100)


@pytest.mark.parametrize(
    ("header", "delimiter"),
    [
        (b"customer_id", ","),
        (b"Customer_ID ;until", ";"),
        (b'"customer_id"\t"until"', "\t"),
        (b"name,who|customer_id", "|"),
        (b"customer;until", None),
        (b'"customer_id', None),
    ],
)
def test_the_header_shows_what_separates_the_columns(header: bytes, delimiter: str | None) -> None:
    assert delimiter_of(Row(1, header), "customer_id") == delimiter
