"""The oracle alone gives what the golden cases say: transitions, their sequences, and members."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.oracle import Change, Oracle
from tests.oracle.casefiles import Case, instant, load

ROOT = Path(__file__).parents[2]
FILES = [
    *sorted((ROOT / "tests" / "cases").glob("*.cases.yaml")),
    *sorted((ROOT / "rules" / "library").glob("*.cases.yaml")),
]
CASES = [pytest.param(case, id=f"{path.name.split('.')[0]}: {case.name}") for path in FILES for case in load(path)]


def parts(line: str) -> tuple[int, str, str, str, str]:
    time, customer_id, what, segment, cause = line.split(" ")
    return instant(time), customer_id, what, segment, cause


def told(change: Change) -> tuple[int, str, str, str, str]:
    return change.time, change.customer_id, change.what, change.segment, change.cause


@pytest.mark.parametrize("case", CASES)
def test_the_oracle_passes_every_golden_case(case: Case) -> None:
    found = Oracle(case.segments).run(case.log, case.until)

    assert [told(change) for change in found.transitions] == [parts(line) for line in case.expect]
    if case.members is not None:
        members = {segment: sorted(customers) for segment, customers in found.memberships.items()}
        assert members == {segment: sorted(customers) for segment, customers in case.members.items()}


@pytest.mark.parametrize("case", CASES)
def test_sequences_count_from_one_without_gaps_and_alternate(case: Case) -> None:
    counted: dict[tuple[str, str], int] = {}
    for change in Oracle(case.segments).run(case.log, case.until).transitions:
        key = change.customer_id, change.segment
        counted[key] = counted.get(key, 0) + 1
        assert change.sequence == counted[key]
        assert change.what == ("entered" if change.sequence % 2 else "exited")


def test_there_are_cases() -> None:
    assert len(CASES) > 80
