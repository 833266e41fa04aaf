"""A connector's document: what is read of it, and every mistake told at its place."""

from __future__ import annotations

from typing import Any

import pytest

from consumers.connectors.documents import Document
from consumers.connectors.parse import ConnectorInvalid, read_connector

CONTRACT = """
connector: kommo
base: https://{{ settings.subdomain }}.kommo.com/api/v4
auth: {bearer: "{{ secrets.KOMMO_TOKEN }}"}          # secrets by name, never in a document, log or answer
limits: {per_second: 7, batch: 50}
calls:
  task: {post: /tasks, json: [{text: "{{ text }}", responsible_user_id: "{{ user }}", entity_type: contacts,
                               entity_id: "{{ customer.kommo_id }}"}]}
"""


def test_the_example_of_the_contract_is_a_connector() -> None:
    found = read_connector(CONTRACT)
    call = found.calls["task"]
    assert (found.name, found.limits.per_second, call.add.batch_max) == ("kommo", 7.0, 50)
    assert {name: each.needed for name, each in call.parameters.items()} == {"text": True, "user": True}
    assert call.remove is None


def document(calls: str = "n: {post: /n, json: {a: 1}}", rest: str = "base: https://crm.example") -> str:
    return f"connector: crm\n{rest}\ncalls:\n  {calls}\n"


CALL = "calls.n"
WRONG: list[tuple[str, str, str]] = [
    ("- a", "", "must be a mapping"),
    ("{}", "connector", "is missing"),
    ("{connector: crm}", "calls", "is missing"),
    (document(rest="conector: x"), "conector", "did you mean `connector`?"),
    (document().replace("crm\n", "Crm-1\n", 1), "connector", "is no connector's name"),
    (document(rest="base: crm.example"), "base", "is no address"),
    (document(rest="base: 'https://{{ customer.name }}.example'"), "base", "no such variable `customer`"),
    (document(rest="base: 'https://{{ settings.a'"), "base", "line 1, column 9: expected `}}`"),
    (document(rest="base: https://x.example\nauth: {bearer: abc}"), "auth.bearer", "never stand in a document"),
    (document(rest="base: https://x.example\nauth: {bearer: '{{ secrets.low }}'}"), "auth.bearer", "in capitals"),
    (document(rest="base: https://x.example\nauth: {token: x}"), "auth.token", "no such key"),
    (document(rest="base: https://x.example\nauth: {}"), "auth", "takes one of bearer, basic"),
    (document(rest="base: https://x.example\nauth: {basic: {user: x}}"), "auth.basic.password", "is missing"),
    (document(rest="base: https://x.example\nauth: {oauth: {url: x}}"), "auth.oauth.form", "is missing"),
    (document(rest="base: https://x.example\nauth: {oauth: {url: x, form: {a: b}}}"), "auth.oauth.url", "no address"),
    (document(rest="base: https://x.example\nsign: plain"), "sign", "never stand in a document"),
    (document(rest="base: https://x.example\nlimits: {per_secnd: 1}"), "limits.per_secnd", "did you mean"),
    (document(rest="base: https://x.example\nlimits: {per_second: 0}"), "limits.per_second", "above 0"),
    (document(rest="base: https://x.example\nlimits: {batch: 0}"), "limits.batch", "from 1 to 10,000"),
    (document(rest="base: https://x.example\nlimits: {concurrency: many}"), "limits.concurrency", "whole number"),
    (document(rest="base: https://x.example\nsettings: {A: 1}"), "settings.A", "no setting's name"),
    (document(rest="base: https://x.example\nsettings: {a: [1]}"), "settings.a", "a text, a number, or null"),
    (document(rest="base: https://x.example\nheaders: {'a b': x}"), "headers.a b", "no header's name"),
    (document(rest='base: https://x.example\nheaders: {a: "x\\ny"}'), "headers.a", "no line breaks"),
    (document(rest="base: https://x.example\nheaders: {a: [x]}"), "headers.a", "a text or a number"),
    (document("N: {post: /n}"), "calls.N", "no call's name"),
    (document("n: {}"), CALL, "takes one of get, post"),
    (document("n: {post: /n, put: /n}"), CALL, "takes one of get, post"),
    (document("n: {post: n}"), f"{CALL}.post", "is no path"),
    (document("n: {post: /n}", rest="about: x"), f"{CALL}.post", "needs a `base`"),
    (document("n: {post: '/n?a=b'}"), f"{CALL}.post", "goes into `query"),
    (document("n: {post: /n, jsn: 1}"), f"{CALL}.jsn", "did you mean `json`?"),
    (document("n: {post: /n, json: 1, form: {a: b}}"), f"{CALL}.form", "one body"),
    (document("n: {get: /n, json: 1}"), f"{CALL}.json", "a GET has no body"),
    (document("n: {post: /n, form: {a: {b: c}}}"), f"{CALL}.form.a", "a text or a number"),
    (document("n: {post: /n, json: {a: {b: ['{{ x']}}}"), f"{CALL}.json.a.b[0]", "expected `}}`"),
    (document("n: {post: /n, json: {a: '{{ x | nope }}'}}"), f"{CALL}.json.a", "no such filter `nope`"),
    (document("n: {post: /n, json: {a: '{{ segment.nam }}'}}"), f"{CALL}.json.a", "did you mean `segment.name`?"),
    (document("n: {post: /n, json: {a: '{{ item.when }}'}}"), f"{CALL}.json.a", "no such variable `item.when`"),
    (document("n: {post: /n, json: ['{{ secrets }}']}"), f"{CALL}.json[0]", "a secret is named"),
    (document("n: {post: /n, json: {a: '{{ settings }}'}}"), f"{CALL}.json.a", "a setting is named"),
    (document("n: {post: /n, json: {a: '{{ each }}'}}"), f"{CALL}.json.a", "there is no `each` here"),
    (document("n: {post: /n, json: {a: '{{ found.id }}'}}"), f"{CALL}.json.a", "there is no `found` here"),
    (document("n: {post: /n, each: 1, json: {a: 1}}"), f"{CALL}.json", "`each` is sent nowhere"),
    (document("n: {post: /n, json: {a: 1}, batch: 5}"), f"{CALL}.batch", "goes with `each`"),
    (document("n: {with: {text: x}, post: /n, json: {a: '{{ txt }}'}}"), f"{CALL}.json.a", "did you mean `text`?"),
    (document("n: {with: {text: x}, post: /n}"), f"{CALL}.with.text", "is used nowhere"),
    (document("n: {with: {customer: x}, post: /n}"), f"{CALL}.with.customer", "cannot be a parameter"),
    (document("n: {with: {a: [x]}, post: '/{{ a }}'}"), f"{CALL}.with.a", "must be text"),
    (document("n: {add: {post: /n}}"), f"{CALL}.remove", "can also remove"),
    (document("n: {add: {post: /n}, remove: {post: /n}, post: /n}"), f"{CALL}.post", "no such key"),
    (document("n: {add: {post: /n}, remove: {posst: /n}}"), f"{CALL}.remove.posst", "did you mean `post`?"),
    (document("n: {get: /n, then: {patch: /m}}"), f"{CALL}.then.for", "is missing"),
    (document("n: {get: /n, then: {for: 'a[', patch: /m}}"), f"{CALL}.then.for", "no JMESPath"),
    (document("n: {get: /n, then: {for: a, get: /m, then: {for: b, get: /c}}}"), f"{CALL}.then.then", "one `then`"),
    (document("n: {post: /n, json: [1], then: {for: a, get: /m}}"), f"{CALL}.then", "for one customer"),
    (document("n: {post: /n, answer: {okay: x}}"), f"{CALL}.answer.okay", "did you mean `ok`?"),
    (document("n: {post: /n, answer: {again: x}}"), f"{CALL}.answer.again", "a list of texts"),
    (document("n: {post: /n, answer: {statuses: {ok: [200]}}}"), f"{CALL}.answer.statuses.ok", "from 300 on"),
    (document("n: {post: /n, answer: {failed: {by: a}}}"), f"{CALL}.answer.failed.in", "is missing"),
    (document("n: {post: /n, answer: {failed: {in: a}}}"), f"{CALL}.answer.failed", "takes `by`"),
]


@pytest.mark.parametrize(("source", "at", "message"), WRONG, ids=[f"{at}: {text[:24]}" for _, at, text in WRONG])
def test_each_mistake_is_told_at_its_place(source: str, at: str, message: str) -> None:
    told = mistakes(source)
    assert any(place == at and message in said for place, said in told), told


def mistakes(source: str) -> list[tuple[str, str]]:
    with pytest.raises(ConnectorInvalid) as told:
        read_connector(source)
    return [(mistake.at, mistake.message) for mistake in told.value.mistakes]


def test_all_mistakes_are_told_at_once_and_each_once() -> None:
    bad = "connector: X\nlimits: {batch: 0}\ncalls:\n  n: {post: n, json: {a: '{{ b | nope }}', c: '{{ d'}}\n"
    told = [at for at, _ in mistakes(bad)]
    assert told == ["limits.batch", "connector", "calls.n.post", "calls.n.json.a", "calls.n.json.c"]


def test_a_right_document_has_no_mistake() -> None:
    """So that the table above fails for its mistakes alone."""
    assert read_connector(document()).name == "crm"


@pytest.mark.parametrize("junk", ["", "a", "1", "[", "{connector: [", "connector: {a: b}\ncalls: [x]", "calls: {n: 1}"])
def test_junk_is_refused_and_nothing_else_happens(junk: str) -> None:
    assert mistakes(junk)


def needed(found: Document) -> dict[str, tuple[bool, bool]]:
    return {name: (each.needed, each.needed_back) for name, each in found.calls["n"].parameters.items()}


def test_a_parameter_is_needed_where_a_request_cannot_do_without_it() -> None:
    both = "n: {add: {post: /n, json: {a: '{{ a }}', b: '{{ b | default: omit }}'}}, remove: {delete: '/n/{{ c }}'}}"
    assert needed(read_connector(document(both))) == {"a": (True, False), "b": (False, False), "c": (False, True)}


def test_a_list_of_one_and_an_each_are_for_many_customers_and_other_bodies_for_one() -> None:
    calls = """
  one: {post: /n, json: {a: 1}}
  two: {post: /n, json: [1, 2]}
  many: {post: /n, json: [{a: 1}]}
  more: {post: /n, each: {a: 1}, batch: 500, json: {all: "{{ each }}"}}
"""
    found = read_connector(f"connector: c\nbase: https://x.example\nlimits: {{batch: 20}}\ncalls:{calls}")
    sizes: dict[str, Any] = {name: call.add.batch_max for name, call in found.calls.items()}
    assert sizes == {"one": 1, "two": 1, "many": 20, "more": 500}
