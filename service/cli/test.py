"""`segmentd segments test`: runs the cases in files and shows each that failed as a difference, a change a line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rules.cases import CaseFile, CasesInvalid, Outcome, parse_cases, run_case
from rules.errors import SegmentInvalid
from rules.language import load_yaml, parse_document
from rules.plan import Plan, compile_plan
from service.cli.files import (
    FilesInvalid,
    SegmentFile,
    Unreadable,
    across,
    found_files,
    read_text,
    refuse,
    segments_alone,
)
from service.cli.output import fail, say

CASES_BYTES_MAX = 64 * 1024 * 1024


def run_test(paths: Sequence[Path]) -> None:
    """Prints `N passed, M failed`; exits with 1 if any failed, 2 if a file could not be read or run at all."""
    passed = failed = unusable = 0
    for path in found_files(paths, cases=True):
        try:
            outcomes = outcomes_of(path)
        except (FilesInvalid, Unreadable) as error:
            unusable += 1
            fail(str(error))
            continue
        for outcome in outcomes:
            if outcome.passed:
                passed += 1
            else:
                failed += 1
                say(f"FAILED {path}: {outcome.case.name}", "bold red")
                say("\n".join(outcome.difference))
    if unusable:
        fail(f"{unusable} file{'s' if unusable > 1 else ''} could not be run")
    say(f"{passed} passed, {failed} failed", "bold")
    if unusable or failed:
        sys.exit(2 if unusable else 1)


def outcomes_of(path: Path) -> list[Outcome]:
    """Runs every case of a file. Raises FilesInvalid (with the place of each mistake), Unreadable."""
    try:
        file = parse_cases(load_yaml(read_text(path), CASES_BYTES_MAX))
    except (CasesInvalid, SegmentInvalid) as error:
        raise FilesInvalid("\n".join(f"{path}: {mistake}" for mistake in error.mistakes)) from None
    plan = _plan(path, file)
    return [run_case(case, plan) for case in file.cases]


def _plan(path: Path, file: CaseFile) -> Plan:
    """The segments of a file of cases: those written in it, and those in files beside it."""
    files: list[SegmentFile] = []
    for place, each in enumerate(file.segments):
        if isinstance(each, str):
            files += segments_alone([path.parent / each])
            continue
        try:
            files.append(SegmentFile(f"{path}: segments[{place}]", "", each, parse_document(each)))
        except SegmentInvalid as error:
            told = "\n".join(f"{path}: segments[{place}].{mistake}" for mistake in error.mistakes)
            raise FilesInvalid(told) from None
    refuse(across(files))
    return compile_plan([each.definition for each in files])
