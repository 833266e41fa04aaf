"""The golden tables: every case in this folder passes, every document of `invalid.yaml` is refused where it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rules.errors import SegmentInvalid
from rules.language import check_set, load_yaml, parse_document
from service.cli.test import outcomes_of

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*.cases.yaml"))
INVALID: list[dict[str, Any]] = load_yaml((HERE / "invalid.yaml").read_text())


def test_the_tables_are_here() -> None:
    assert len(FILES) >= 14
    assert len(INVALID) >= 20


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name.partition(".")[0])
def test_every_case_passes(path: Path) -> None:
    outcomes = outcomes_of(path)
    assert outcomes
    assert {outcome.case.name: outcome.difference for outcome in outcomes if not outcome.passed} == {}


@pytest.mark.parametrize("table", INVALID, ids=[table["name"] for table in INVALID])
def test_every_bad_document_is_refused_where_it_is_wrong(table: dict[str, Any]) -> None:
    places = [mistake.at for mistake in _mistakes(table["document"])]
    told = {asked: [place for place in places if place.startswith(asked)] for asked in table["errors"]}
    assert all(told.values()), f"{told}; told were {places}"
    assert len(places) == len(table["errors"]), f"more mistakes than there are: {places}"


def _mistakes(document: dict[str, Any]) -> list[Any]:
    try:
        segment = parse_document(document)
    except SegmentInvalid as error:
        return list(error.mistakes)
    return check_set({segment.id: segment})
