"""Whatever comes in: a segment or a SegmentInvalid, never anything else."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.errors import SegmentInvalid
from rules.language import check_set, load_json, load_yaml_all, parse_document, sentence, texts, words
from rules.language.parse import DOCUMENT_KEYS
from rules.language.parse_conditions import FORMS
from tests.rules.language.reading import CASES

KEYS = sorted({key for form in FORMS.values() for key in form.keys} | set(DOCUMENT_KEYS) | {
    "n", "of", "match", "percent", "salt", "min_stay", "cooldown", "amount", "items.total", "nobody",
})  # fmt: skip
VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2.5, 1e308, float("inf"), float("nan"), 10**400, "", "a", "purchase", "tick", "30d",
    "1mo", "2026-01-01", "9999-12-31", "0001-01-01", "2026-01-01T00:00:00+14:00",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00",
    "today", "(", "\ud83d", "é", "[", "Z",
]  # fmt: skip
scalars = st.one_of(st.sampled_from(VALUES), st.text(max_size=8), st.integers(), st.floats())
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=4)), inner, max_size=5),
    ),
    max_leaves=25,
)
HALF = settings(max_examples=max(1, settings().max_examples // 2))  # of what the profile says: these are many
VALID = [raw for file in sorted(CASES.glob("*.cases.yaml")) for raw in load_yaml_all(file.read_text())[0]["segments"]]


def judge(raw: Any) -> None:
    """What is refused has mistakes that can be told; what is read can be put into words, and be kept as JSON."""
    refused: SegmentInvalid | None = None
    try:
        segment = parse_document(raw)
    except SegmentInvalid as error:
        refused = error
    if refused:
        assert all(mistake.message for mistake in refused.mistakes)
        str(refused).encode()
        return
    sentence(segment).encode()
    conditions = {part.at for part in words(segment) if part.kind != "setting"}
    assert conditions <= set(texts(segment))
    check_set({segment.id: segment})
    assert parse_document(orjson.loads(orjson.dumps(raw))) == segment


@HALF
@given(anything)
def test_any_value_is_a_segment_or_is_refused(raw: Any) -> None:
    judge(raw)


@HALF
@given(st.dictionaries(st.sampled_from(KEYS), anything, max_size=5))
def test_any_condition_is_read_or_is_refused(enter: Any) -> None:
    judge({"id": "a", "enter": enter, "timezone": "Asia/Kathmandu"})


@HALF
@given(st.sampled_from(VALID), st.data())
def test_a_valid_document_with_one_thing_changed_is_a_segment_or_is_refused(raw: Any, data: st.DataObject) -> None:
    changed = copy.deepcopy(raw)
    place, key = data.draw(st.sampled_from(list(_places(changed))))
    change = data.draw(st.sampled_from(("set", "drop", "add")))
    if change == "drop":
        del place[key]
    elif change == "add" and isinstance(place, dict):
        place[data.draw(st.sampled_from(KEYS))] = data.draw(anything)
    else:
        place[key] = data.draw(anything)
    judge(changed)


def _places(raw: Any) -> Any:
    """Every (container, key) below a value."""
    pairs = list(raw.items()) if isinstance(raw, dict) else list(enumerate(raw)) if isinstance(raw, list) else []
    for key, value in pairs:
        yield raw, key
        yield from _places(value)


@HALF
@given(st.one_of(st.text(), st.binary(), st.text(alphabet="ab01:-[]{}&*!|>'\"#,? \n\t%~.")))
def test_any_text_is_read_or_is_refused(text: str | bytes) -> None:
    for load in (load_yaml_all, load_json):
        with suppress(SegmentInvalid):
            load(text)
