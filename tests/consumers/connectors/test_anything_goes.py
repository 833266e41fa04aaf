"""Whatever authors write and customers are called: documents are read or refused, calls end, and none goes astray."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.connectors.load import PACKAGED
from consumers.connectors.parse import ConnectorInvalid, parse_connector
from consumers.delivery.port import Done, Dropped, Failed, Refused
from rules.errors import Mistake
from rules.language import load_yaml
from tests.consumers.connectors.playing import Played, connector, keys, subject

SOURCES = [load_yaml(path.read_bytes()) for path in sorted(Path(PACKAGED).glob("*.yaml"))]
TEMPLATES = ["{{ customer.name }}", "{{ x | int }}", "{{ omit }}", "{{ each }}", "{{ secrets.A }}", "{{", "{% if"]
HOSTILE = ["../..", "a\r\nb: c", "http://x/", "{{ customer.tags[0] }}", "{{ segment }}", "\ud800", "%2e%2e", "..", ""]
TEXTS = st.one_of(st.text(max_size=20), st.sampled_from(TEMPLATES), st.sampled_from(HOSTILE))
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in inner for place in places(each, (*path, key)))]


@st.composite
def spoiled(draw: st.DrawFn) -> Any:
    """A packaged document with another value at one to three places."""
    document = copy.deepcopy(draw(st.sampled_from(SOURCES)))
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from([place for place in places(document) if place]))
        inner = document
        for key in way:
            inner = inner[key]
        inner[last] = draw(VALUES)
    return document


@settings(max_examples=300, deadline=None)
@given(spoiled())
def test_a_document_is_read_or_refused_with_places(document: Any) -> None:
    calls: Sequence[str] = ()
    mistakes: Sequence[Mistake] = ()
    try:
        calls = parse_connector(document).call_names
    except ConnectorInvalid as error:
        mistakes = error.mistakes
    assert bool(calls) != bool(mistakes)
    assert all(mistake.message for mistake in mistakes)


DOCUMENT = """
connector: crm
base: https://crm.example/v1
headers: {X-Who: "{{ settings.who | default: omit }}"}
calls:
  n:
    post: /people/{{ customer.id }}/{{ a }}/notes
    query: {b: "{{ b | default: omit }}"}
    headers: {X-C: "{{ c | default: omit }}"}
    json: {a: "{{ a }}", rest: ["{{ d | default: null }}", "{{ b | default: '' }} words"]}
"""


ATTRIBUTES = st.dictionaries(st.sampled_from(["name", "x", "tags"]), VALUES)
GOOD = st.one_of(st.integers(), st.text(min_size=1, max_size=9), st.just("{{ customer.id }}"))
WITH = st.one_of(
    st.dictionaries(st.sampled_from("abcde"), VALUES),
    st.fixed_dictionaries({"a": GOOD}, optional={"b": SCALARS, "c": st.text("abc", max_size=3), "d": VALUES}),
)


@settings(max_examples=400, deadline=None)
@given(st.text(max_size=20), ATTRIBUTES, WITH)
async def test_a_call_ends_and_goes_where_the_document_says(
    customer: str, attributes: dict[str, Any], with_: dict[str, Any]
) -> None:
    caller = Played()
    found = connector(DOCUMENT, caller, {"SEGMENTD_SECRET_A": "the secret of A"})
    ana = subject(customer, attributes)
    [outcome] = await found.call("n", with_, [ana], keys([ana]))
    assert isinstance(outcome, Done | Dropped | Failed | Refused)
    mistakes = found.check("n", with_, "actions[0]")
    assert all(mistake.at.startswith("actions[0]") and mistake.message for mistake in mistakes)
    if isinstance(outcome, Done):
        [asked] = caller.asked
        parts = urlsplit(asked.url)
        assert (parts.scheme, parts.netloc, parts.fragment) == ("https", "crm.example", "")
        way = parts.path.split("/")
        assert (way[:3], way[5:]) == (["", "v1", "people"], ["notes"])
        assert not {".", "..", ""} & set(way[1:])
        assert asked.url.isascii()
        assert all(value.isascii() and value.isprintable() for value in asked.headers.values())
        assert b"the secret" not in (asked.body or b"")
    else:
        assert caller.asked == []
