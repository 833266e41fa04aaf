"""Files of cases: read with every mistake told, run, and shown as a difference where they fail."""

from __future__ import annotations

from typing import Any

import pytest

from rules.cases import CasesInvalid, Outcome, parse_cases, run_case
from rules.language import load_yaml
from rules.plan import Definition, compile_plan

SEGMENT = {"id": "buyers", "enter": {"event": "purchase", "within": "1d"}}
PLAN = compile_plan([Definition("buyers", document=SEGMENT)])
BOUGHT = {"ts": "2026-01-01T00:00:00Z", "type": "purchase", "customer_id": "ana"}


def run(**case: Any) -> Outcome:
    raw = {"name": "a case", "events": [BOUGHT], "expect": [], **case}
    file = parse_cases({"segments": [SEGMENT], "cases": [raw]})
    return run_case(file.cases[0], PLAN)


def mistakes(raw: Any) -> list[str]:
    with pytest.raises(CasesInvalid) as caught:
        parse_cases(raw)
    return [str(mistake) for mistake in caught.value.mistakes]


def mistakes_of(**case: Any) -> list[str]:
    return mistakes({"segments": [], "cases": [{"name": "a case", "events": [], "expect": [], **case}]})


def test_a_case_passes_when_every_transition_is_as_expected() -> None:
    assert run(expect=["2026-01-01T00:00:00Z ana entered buyers event"]).passed


def test_a_missing_transition_and_an_unexpected_one_are_both_shown() -> None:
    outcome = run(
        until="2026-01-02T00:00:00Z",
        expect=["2026-01-01T00:00:00Z ana entered buyers event", "2026-01-03T00:00:00Z ana exited buyers clock"],
    )
    assert outcome.difference == (
        "      2026-01-01T00:00:00Z ana entered buyers event",
        "    - 2026-01-03T00:00:00Z ana exited buyers clock   (expected, did not happen)",
        "    + 2026-01-02T00:00:00Z ana exited buyers clock   (happened, not expected)",
    )


@pytest.mark.parametrize(
    "line",
    [
        "2026-01-01T00:00:00.001Z ana entered buyers event",
        "2026-01-01T00:00:00Z bob entered buyers event",
        "2026-01-01T00:00:00Z ana exited buyers event",
        "2026-01-01T00:00:00Z ana entered sellers event",
        "2026-01-01T00:00:00Z ana entered buyers clock",
    ],
)
def test_time_customer_kind_segment_and_cause_all_count(line: str) -> None:
    assert not run(expect=[line]).passed


def test_a_transition_expected_twice_must_happen_twice() -> None:
    assert not run(expect=["2026-01-01T00:00:00Z ana entered buyers event"] * 2).passed


def test_without_until_the_clock_runs_to_the_highest_ts_and_what_is_due_there_happens() -> None:
    late = {"ts": "2026-01-02T00:00:00Z", "type": "page_view", "customer_id": "bob"}
    lines = ["2026-01-01T00:00:00Z ana entered buyers event", "2026-01-02T00:00:00Z ana exited buyers clock"]
    assert run(events=[BOUGHT, late], expect=lines).passed


def test_instants_are_compared_not_their_spelling() -> None:
    assert run(expect=["2026-01-01T01:00:00.000+01:00 ana entered buyers event"]).passed


def test_an_id_with_a_blank_is_quoted() -> None:
    event = {**BOUGHT, "customer_id": 'ana "the" boss'}
    line = r'2026-01-01T00:00:00Z "ana \"the\" boss" entered buyers event'
    assert run(events=[event], expect=[line]).passed
    assert line in run(events=[event]).difference[0]


def test_members_are_those_of_all_segments_at_the_end() -> None:
    lines = ["2026-01-01T00:00:00Z ana entered buyers event"]
    assert run(expect=lines, members={"buyers": ["ana"]}).passed
    assert run(expect=lines, members={"buyers": ["bob"]}).difference == (
        "    - bob in buyers at the end   (expected)",
        "    + ana in buyers at the end   (not expected)",
    )
    assert not run(expect=lines, members={}).passed


def test_events_without_an_id_are_never_duplicates_and_the_later_one_wins_a_tie() -> None:
    segment = {"id": "last-b", "enter": {"event": "purchase", "last": {"of": "x", "eq": "b"}}}
    events = [{**BOUGHT, "properties": {"x": x}} for x in ("a", "b")]
    file = parse_cases({"segments": [segment], "cases": [
        {"name": "tie", "events": events, "expect": ["2026-01-01T00:00:00Z ana entered last-b event"]}
    ]})  # fmt: skip
    assert run_case(file.cases[0], compile_plan([Definition("last-b", document=segment)])).passed


def test_a_line_may_carry_the_logs_own_time() -> None:
    event = {**BOUGHT, "log_ts": "2026-01-01T06:00:00Z"}
    assert run(events=[event], expect=["2026-01-01T06:00:00Z ana entered buyers event"]).passed


def test_cases_read_as_their_author_wrote_them() -> None:
    file = parse_cases(load_yaml("segments: [a.yaml, {id: b}]\ncases:\n  - {name: x, events: [], expect: []}\n"))
    assert file.segments == ("a.yaml", {"id": "b"})
    assert [(case.name, case.until, case.members) for case in file.cases] == [("x", None, None)]


@pytest.mark.parametrize("raw", [None, [], "text"])
def test_a_file_of_cases_is_an_object(raw: Any) -> None:
    assert mistakes(raw)[0].startswith("a file of cases has `segments` and `cases`, this is ")


def test_every_mistake_of_a_file_is_told_with_its_place() -> None:
    raw = {
        "segments": [3],
        "casess": [],
        "cases": [
            7,
            {"name": "", "events": {}, "expect": [], "untl": "x"},
            {"name": "x", "events": [{**BOUGHT, "ts": "noon"}, {**BOUGHT, "customer": "x"}], "until": 5},
        ],
    }
    assert mistakes(raw) == [
        "casess: nobody knows this key; there are segments, cases",
        "segments[0]: must be a path beside this file or a whole document, not a number",
        "cases[0]: must be a case with `name`, `events` and `expect`, not a number",
        "cases[1].untl: nobody knows this key; there are name, events, until, expect, members",
        "cases[1].name: a case needs a name that says what is to happen",
        "cases[1].events: must be a list, not an object",
        "cases[2].events[0].ts: `noon` is no RFC 3339 instant with an offset, as 2026-11-20T09:00:00Z or "
        "2026-11-20T06:00:00.123-03:00",
        "cases[2].events[1].customer: nobody knows this key; there are id, type, customer_id, ts, properties, log_ts",
        "cases[2].until: 5 is no RFC 3339 instant, as 2026-11-20T09:00:00Z",
        "cases[2].expect: is missing",
    ]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("2026-01-01T00:00:00Z ana entered buyers", "is not `time customer entered|exited segment cause`"),
        ("2026-01-01T00:00:00Z ana maria entered buyers event", "(quote an id with a blank)"),
        (17, "is not `time customer entered|exited segment cause`"),
        ("monday ana entered buyers event", "`monday` is no RFC 3339 instant"),
        ("2026-01-01T00:00:00Z ana joined buyers event", "`joined` is neither `entered` nor `exited`"),
        ("2026-01-01T00:00:00Z ana entered buyers luck", "`luck` is no cause; there are event, clock"),
    ],
)
def test_a_line_that_says_no_transition_is_told(line: Any, told: str) -> None:
    [mistake] = mistakes_of(expect=[line])
    assert mistake.startswith("cases[0].expect[0]: ")
    assert told in mistake


def test_the_clock_does_not_run_backwards() -> None:
    [mistake] = mistakes_of(events=[BOUGHT], until="2025-12-31T00:00:00Z")
    assert mistake == "cases[0].until: the log has already reached 2026-01-01T00:00:00Z"


def test_members_map_segments_to_customers() -> None:
    assert mistakes_of(members=["ana"]) == ["cases[0].members: must map segments to lists of customers, not a list"]
    assert mistakes_of(members={"buyers": "ana"}) == ["cases[0].members.buyers: must be a list of customer ids as text"]
