"""Templates: values keep their types, what is undefined is told, and nothing gets out of the box."""

from __future__ import annotations

from typing import Any

import pytest

from consumers.connectors.filters import OMIT
from consumers.connectors.port import RenderFailed
from consumers.connectors.templates import TemplateWrong, compile_text, compile_url, compile_value
from consumers.connectors.uses import Use

KNOWN: dict[str, Any] = {
    "customer": {
        "name": "Ana <b>",
        "age": 41,
        "list": [1, 2],
        "phone": "+40 (721) 00",
        "id_text": "77",
        "zero": 0,
        "many": list(range(2000)),
        "words": ["a"],
    },
    "segment": {"timezone": "Europe/Bucharest"},
    "now": 1_700_000_000,
    "omit": OMIT,
}

VALUES = [
    ("{{ customer.age }}", 41),
    (" {{ customer.age }}", " 41"),
    ("{{ customer.age | plus: 1 }}", 42),
    ("{{ customer.list }}", [1, 2]),
    ("{{ customer }}", KNOWN["customer"]),
    ("{{ null }}", None),
    ("{{ customer.x | default: 'none' }}", "none"),
    ("{{ customer.zero | default: 5 }}", 0),
    ("{{ customer.x | int | default: omit }}", OMIT),
    ("{{ nobody.x.y | default: 1 }}", 1),
    ("{% if customer.x %}a{% else %}b{% endif %}", "b"),
    ("{{ customer.id_text | int }}", 77),
    ("{{ '12.50' | number }}", 12.5),
    ("{{ customer.phone | digits }}", "4072100"),
    ("{{ customer.list | json }}", "[1,2]"),
    ("{{ 'ana' | sha256 }}", "24d4b96f58da6d4a8512313bbd02a28ebf0ca95dec6e4c86ef78ce7f01e788ac"),
    ("{{ 'ana' | md5 }}", "276b6c4692e78d4799c12ada515bc3e4"),
    ("{{ now | date: '%d.%m.%Y %H:%M' }}", "15.11.2023 00:13"),
    ("{{ '2026-07-01T21:30:00Z' | date }}", "2026-07-02"),
    ("{{ customer['name'] | upcase }}", "ANA <B>"),
    ("{% for n in customer.list %}{{ n }},{% endfor %}", "1,2,"),
    ("{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
]


@pytest.mark.parametrize(("source", "value"), VALUES, ids=[source for source, _ in VALUES])
def test_what_a_template_comes_to(source: str, value: Any) -> None:
    found = compile_value(source).value(KNOWN)
    assert found == value
    assert type(found) is type(value)


REFUSED = [
    ("{{ customer.kommo_id }}", "`customer.kommo_id` is undefined"),
    ("{{ nobody }}", "`nobody` is undefined"),
    ("Dear {{ customer.surname }}", "`customer.surname` is undefined"),
    ("{{ customer.x | upcase }}", "`customer.x` is undefined"),
    ("{{ customer.x | plus: 1 }}", "`customer.x` is undefined"),
    ("{{ 'a' | append: customer.x }}", "`customer.x` is undefined"),
    ("{{ customer.x | int }}", "`customer.x` is undefined"),
    ("{{ today }}", "`today` is undefined"),
    ("{{ customer.name.__class__ }}", "is undefined"),
    ("{{ customer.name | int }}", "is no whole number"),
    ("{{ customer.name | date }}", "is no date"),
    ("who: {{ customer }}", "write `| json`"),
    ("{{ customer.age | divided_by: 0 }}", "divide by 0"),
    ("{% for n in (1..100000) %}{{ n }}{% endfor %}", "10,000 iterations"),
    ("{% for a in (1..200) %}{% for b in (1..200) %}{% endfor %}{% endfor %}", "10,000 iterations"),
    ("{% for a in (1..9000) %}{% endfor %}{% for a in (1..9000) %}{% endfor %}", "10,000 iterations"),
    ("{% for a in (1..900) %}" + "{% if a %}{% endif %}" * 600 + "{% endfor %}", "at most 415 iterations"),
    ("{{ (1..1000000000) | join: 'x' }}", "at most 10,000 values"),
    ("{{ 9999999999 | times: 9999999999 }}", "63 bits"),
    ("{{ '9' | times: '9e400' }}", "no finite number"),
    ("{{ customer.many | uniq }}", "at most 1,000 values"),
    ("{{ customer.many | uniq: 5 }}", "at most 1,000 values"),
    ("{{ customer.words | compact: 5 }}", "cannot be computed"),
    ("{% assign a = 'xxxxxxxx' %}{% for i in (1..60) %}{% assign a = a | append: a %}{% endfor %}", "262,144"),
    ("{% assign a = 'xxxxxxxx' %}{% for i in (1..60) %}{% assign a = a | replace: 'x', a %}{% endfor %}", "262,144"),
    ("{% for i in (1..9000) %}" + "x" * 500 + "{% endfor %}", "output stream limit"),
]


@pytest.mark.parametrize(("source", "why"), REFUSED, ids=[source[:40] for source, _ in REFUSED])
def test_what_cannot_be_said_is_an_error_that_says_why(source: str, why: str) -> None:
    with pytest.raises(RenderFailed) as told:
        compile_value(source).value(KNOWN)
    assert why in told.value.why
    assert len(told.value.why) < 300


WRONG = [
    ("{{ a", "line 1, column 1: expected `}}`, found end of text"),
    ("one\n{{ a b }}", "line 2, column 6"),
    ("{% include 'x' %}", "there is no tag `include`"),
    ("{% render 'x' %}", "there is no tag `render`"),
    ("{% liquid echo 'a' %}", "there is no tag `liquid`"),
    ("{% cycle 'a' %}", "there is no tag `cycle`"),
    ("{% if a %}", "expected"),
    ("{{ a | upcas }}", "no such filter `upcas`; did you mean `upcase`?"),
    ("{{ a | safe }}", "no such filter `safe`"),
    ("{{ a | base64_decode }}", "no such filter `base64_decode`"),
    ("x" * 70_000, "at most 65,536 characters"),
    ("{% if a %}" * 50 + "{% endif %}" * 50, "nest"),
    ("{% %}", "a tag has a name"),
    ("{% raw %}{{ a", "expected `{% endraw %}`"),
    ("{{ a {{ b }}", "expected `}}`, found another brace"),
    ("x\n {{ a" + " " * 100 + "}}", "line 2, column 2: at most 64 blanks"),
    # what would keep Liquid's own lexer busy for minutes
    ("{{" * 32_000, "expected `}}` within 1,000 characters"),
    ("{%" * 32_000, "expected `%}` within 1,000 characters"),
    ("{{ a" + " " * 60_000 + "}}", "expected `}}` within 1,000 characters"),
    ("{% raw %}" * 7_000, "expected `{% endraw %}`"),
]


@pytest.mark.parametrize(("source", "message"), WRONG, ids=[source[:40] for source, _ in WRONG])
def test_what_is_no_template_is_told_with_its_place(source: str, message: str) -> None:
    with pytest.raises(TemplateWrong) as told:
        compile_text(source)
    assert message in str(told.value)


def test_in_html_values_are_escaped_and_the_authors_words_are_not() -> None:
    template = compile_text("<p>{{ customer.name }}</p>{{ customer.name | append: '<i>' | newline_to_br }}", html=True)
    assert template.render(KNOWN) == "<p>Ana &lt;b&gt;</p>Ana &lt;b&gt;<i>"


def test_in_an_address_values_are_percent_encoded() -> None:
    template = compile_url("/people/{{ customer.name }}/{% if customer.age %}{{ customer.phone }}{% endif %}")
    assert template.render(KNOWN) == "/people/Ana%20%3Cb%3E/%2B40%20%28721%29%2000"
    assert compile_url("/a/{{ x }}").render({"x": "../b?c=d#e\r\n"}) == "/a/..%2Fb%3Fc%3Dd%23e%0D%0A"


def test_a_template_says_which_variables_it_cannot_do_without() -> None:
    uses = compile_text(
        "{{ a.b }}{{ c | default: 1 }}{% if d %}{{ d }}{% endif %}{% for e in f %}{{ e }}{% endfor %}"
        "{{ g | default: h }}{% assign i = j | default: 2 %}{{ i }}{% case k %}{% when 1 %}{% endcase %}"
    ).uses
    assert {use.path: use.needed for use in uses} == {
        ("a", "b"): True, ("c",): False, ("d",): False, ("f",): True, ("g",): False, ("h",): True, ("j",): False,
        ("k",): True,
    }  # fmt: skip
    assert compile_text("{{ customer.tags[0].name }}").uses == [Use(("customer", "tags"), True)]


def test_a_text_is_compiled_once() -> None:
    assert compile_text("{{ customer.name }} twice") is compile_text("{{ customer.name }} twice")
