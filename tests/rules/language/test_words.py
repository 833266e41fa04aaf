"""Documents in plain English: as one sentence, as located lines, condition by condition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from rules.language import Part, load_yaml, parse_document, sentence, texts, words
from rules.language.documents import Duration
from rules.language.words_english import ENGLISH, Language
from rules.language.words_values import length
from tests.rules.language.reading import document

TABLE = [(row["enter"], row["says"]) for row in load_yaml(Path(__file__).with_name("words.yaml").read_text())]


@pytest.mark.parametrize(("enter", "says"), TABLE, ids=[says[:60] for _, says in TABLE])
def test_a_condition_is_said_in_plain_english(enter: Any, says: str) -> None:
    assert sentence(parse_document({"id": "a", "enter": enter})) == says


WHOLE: list[tuple[dict[str, Any], str]] = [
    ({"exit": {"event": "purchase", "within": "7d"}}, 'has the tag "vip"; leaves when: bought in the last 7 days'),
    ({"hold": {"min_stay": "1h"}}, 'has the tag "vip"; stays at least 1 hour'),
    ({"hold": {"cooldown": "2w", "min_stay": "1d"}},
     'has the tag "vip"; stays at least 1 day; comes back no sooner than 2 weeks after leaving'),
    ({"timezone": "Europe/Bucharest"}, 'has the tag "vip"'),
    ({"timezone": "Europe/Bucharest", "exit": {"event": "purchase", "period": "today"}},
     'has the tag "vip"; leaves when: bought today; days and months are those of Europe/Bucharest'),
    ({"timezone": "UTC", "enter": {"event": "purchase", "within": "1mo"}}, "bought in the last month"),
    ({"timezone": "Asia/Tokyo", "enter": {"event": "purchase", "within": "1mo"}},
     "bought in the last month; days and months are those of Asia/Tokyo"),
    ({"timezone": "Asia/Tokyo", "hold": {"cooldown": "1mo"}},
     'has the tag "vip"; comes back no sooner than 1 month after leaving; days and months are those of Asia/Tokyo'),
    ({"timezone": "Asia/Tokyo", "enter": {"attribute": "born", "age": {"gte": 18}}},
     "born makes an age of at least 18 years; days and months are those of Asia/Tokyo"),
    ({"timezone": "Asia/Tokyo", "enter": {"event": "x", "between": ["2026-01-01", "2026-01-01T12:00:00Z"]}},
     "did `x` from 2026-01-01 until before 2026-01-01T12:00:00Z; days and months are those of Asia/Tokyo"),
]  # fmt: skip


@pytest.mark.parametrize(("rest", "says"), WHOLE)
def test_a_whole_document_is_one_sentence(rest: dict[str, Any], says: str) -> None:
    assert sentence(parse_document({"id": "a", "enter": {"tag": "vip"}, **rest})) == says


def test_a_list_by_hand_says_so() -> None:
    assert words(parse_document({"id": "staff", "list": True})) == [
        Part("list", "members are added by hand only", 0, "setting", "list")
    ]


def test_a_document_is_lines_located_by_their_path_and_indented_by_depth() -> None:
    raw = load_yaml("""
        id: lapsing-vip
        timezone: America/Sao_Paulo
        enter:
          all:
            - {event: purchase, within: 180d, sum: {of: amount, gte: 1000}}
            - not: {event: page_view, within: 14d}
            - any: [{tag: vip}, {none: [{tag: blocked}]}]
            - not: {all: [{tag: a}, {tag: b}]}
            - at_least: {n: 2, of: [{tag: c}, {tag: d}]}
        exit: {event: purchase, period: this_month}
        hold: {min_stay: 1h, cooldown: 1d}
    """)
    assert [(part.section, part.depth, part.kind, part.at, part.text) for part in words(parse_document(raw))] == [
        ("enter", 0, "group", "enter", "all of these"),
        ("enter", 1, "condition", "enter.all[0]",
         "has a total amount of at least 1000 over purchases in the last 180 days"),
        ("enter", 1, "condition", "enter.all[1]", "did not view a page in the last 14 days"),
        ("enter", 1, "group", "enter.all[2]", "at least one of these"),
        ("enter", 2, "condition", "enter.all[2].any[0]", 'has the tag "vip"'),
        ("enter", 2, "group", "enter.all[2].any[1]", "none of these"),
        ("enter", 3, "condition", "enter.all[2].any[1].none[0]", 'has the tag "blocked"'),
        ("enter", 1, "group", "enter.all[3]", "not"),
        ("enter", 2, "group", "enter.all[3].not", "all of these"),
        ("enter", 3, "condition", "enter.all[3].not.all[0]", 'has the tag "a"'),
        ("enter", 3, "condition", "enter.all[3].not.all[1]", 'has the tag "b"'),
        ("enter", 1, "group", "enter.all[4]", "at least 2 of these"),
        ("enter", 2, "condition", "enter.all[4].at_least.of[0]", 'has the tag "c"'),
        ("enter", 2, "condition", "enter.all[4].at_least.of[1]", 'has the tag "d"'),
        ("exit", 0, "condition", "exit", "bought this month"),
        ("hold", 0, "setting", "hold.min_stay", "stays at least 1 hour"),
        ("hold", 0, "setting", "hold.cooldown", "comes back no sooner than 1 day after leaving"),
        ("timezone", 0, "setting", "timezone", "days and months are those of America/Sao_Paulo"),
    ]  # fmt: skip


def test_every_condition_has_a_text_of_its_own_under_its_path() -> None:
    found = texts(document("{all: [{not: {event: purchase, within: 7d}}, {tag: vip}]}", exit={"segment": "b"}))
    assert found == {
        "enter": "all of these",
        "enter.all[0]": "not",
        "enter.all[0].not": "bought in the last 7 days",
        "enter.all[1]": 'has the tag "vip"',
        "exit": 'is in the segment "b"',
    }


def test_a_long_text_and_a_long_list_are_told_short() -> None:
    said = sentence(document(f"{{attribute: x, eq: {'y' * 500}}}"))
    assert said == f'x is "{"y" * 80}…"'
    said = sentence(parse_document({"id": "a", "enter": {"attribute": "n", "in": list(range(10_000))}}))
    assert said == "n is one of 10000 values such as 0, 1, 2, 3, 4"


def test_braces_in_an_authors_text_are_only_text() -> None:
    assert sentence(document("{attribute: '{n}', eq: '{value}'}")) == '{n} is "{value}"'


def test_a_duration_is_said_as_it_was_written() -> None:
    said = [sentence(document(f"{{event: x, within: {text}}}")) for text in ("24h", "1d", "7d", "1w", "12mo", "1y")]
    assert [each.removeprefix("did `x` in the last ") for each in said] == [
        "24 hours", "day", "7 days", "week", "12 months", "year",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("duration", "said"),
    [(Duration(ms=1_209_600_000), "2 weeks"), (Duration(ms=5000), "5 seconds"), (Duration(months=24), "2 years"),
     (Duration(months=7), "7 months"), (Duration(ms=5_400_000), "90 minutes")],
)  # fmt: skip
def test_a_duration_that_nobody_wrote_is_said_in_its_largest_unit(duration: Duration, said: str) -> None:
    assert length(ENGLISH, duration) == said


def test_a_condition_nested_to_the_limit_is_said_without_delay() -> None:
    inner: Any = {"any": [{"tag": f"t{n}"} for n in range(10)]}
    for _ in range(8):
        inner = {"none": [inner, {"tag": "x"}]}
    assert len(sentence(parse_document({"id": "a", "enter": inner}))) < 2000


def test_another_language_is_another_table() -> None:
    german = Language(
        {**ENGLISH.phrases, "window.today": "heute"},
        {**ENGLISH.deeds, "purchase": replace(ENGLISH.deeds["purchase"], did="kaufte")},
    )
    assert sentence(document("{event: purchase, period: today}"), german) == "kaufte heute"


class Noted(dict[str, str]):
    """A table that notes which of its phrases were said."""

    def __init__(self, phrases: Mapping[str, str]) -> None:
        super().__init__(phrases)
        self.said: set[str] = set()

    def __getitem__(self, phrase: str) -> str:
        self.said.add(phrase)
        return super().__getitem__(phrase)


def test_every_phrase_of_the_table_is_said_by_one_of_these_tests() -> None:
    noted = Noted(ENGLISH.phrases)
    language = Language(noted, ENGLISH.deeds)
    for raw in [{"enter": enter} for enter, _ in TABLE] + [{"enter": {"tag": "vip"}, **rest} for rest, _ in WHOLE]:
        segment = parse_document({"id": "a", **raw})
        sentence(segment, language)
        words(segment, language)
    words(parse_document({"id": "staff", "list": True}), language)
    assert set(ENGLISH.phrases) - noted.said == set()


def test_phrases_have_only_braces_that_can_be_filled() -> None:
    for name, phrase in ENGLISH.phrases.items():
        assert all(field is None or field.isidentifier() for _, field, _, _ in Formatter().parse(phrase)), name


def test_a_share_is_said_exactly() -> None:
    found = document("{sample: {percent: 0.1}}")
    assert sentence(found) == "is in a fixed random 0.1% of the customers"
    assert getattr(found.enter, "percent", None) == Fraction(1, 10)
