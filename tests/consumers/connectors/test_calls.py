"""What a document's call sends, and what the answers mean: tried with a caller that is no network."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from consumers.connectors.port import RenderFailed
from consumers.delivery.port import Done, Failed, Outcome, Refused
from consumers.outbound.client import Answer
from consumers.outbound.errors import OutboundFailed, OutboundRefused
from tests.consumers.connectors.playing import Asked, Played, connector, keys, subject, told

TOKEN = "token-of-the-crm"
BASIC = "YW55OnRva2VuLW9mLXRoZS1jcm0="  # any:token-of-the-crm
AROUND = {"SEGMENTD_SECRET_TOKEN": TOKEN, "SEGMENTD_CONNECTOR_CRM_SHOP": "s1"}
HEAD = 'connector: crm\nbase: https://crm.example/v1/\nauth: {bearer: "{{ secrets.TOKEN }}"}\n'


def calls(text: str, more: str = "") -> str:
    return f"{HEAD}{more}\ncalls:\n  n: {text}\n"


async def one(
    text: str, answer: Answer | Exception, with_: dict[str, Any] | None = None, more: str = ""
) -> tuple[Outcome, list[Asked]]:
    """The outcome of one call for Ana, and what was asked."""

    def answered(_: Asked) -> Answer:
        if isinstance(answer, Exception):
            raise answer
        return answer

    caller = Played(answered)
    ana = subject("ana", {"name": "Ana"})
    [outcome] = await connector(calls(text, more), caller, AROUND).call("n", with_ or {}, [ana], keys([ana]))
    return outcome, caller.asked


# -- requests ---------------------------------------------------------------------------------------------------------


async def test_a_request_has_its_address_query_headers_body_proof_and_key() -> None:
    text = """
    put: /people/{{ customer.id }}/{{ what }}
    query: {a: "{{ customer.name }}", "f[]": [1, "{{ what }}"], no: "{{ missing | default: omit }}", yes: true}
    headers: {X-Shop: "{{ settings.shop }}", accept: text/plain}
    json: {name: "{{ customer.name }}"}"""
    outcome, [asked] = await one(text, told(204), {"what": "a b/ü"})
    assert outcome == Done("HTTP 204", 204)
    parts = urlsplit(asked.url)
    assert (asked.method, parts.scheme, parts.netloc) == ("PUT", "https", "crm.example")
    assert parts.path == "/v1/people/ana/a%20b%2F%C3%BC"
    assert parse_qs(parts.query) == {"a": ["Ana"], "f[]": ["1", "a b/ü"], "yes": ["true"]}
    assert asked.headers == {
        "User-Agent": "segmentd",
        "Content-Type": "application/json",
        "X-Shop": "s1",
        "accept": "text/plain",
        "Authorization": f"Bearer {TOKEN}",
        "Idempotency-Key": "call:vip:ana:1",
    }
    assert asked.json == {"name": "Ana"}


async def test_a_form_is_encoded_and_a_get_has_neither_body_nor_key() -> None:
    _, [form] = await one('{post: /n, form: {a: "x&y=z", b: [1, 2], c: "{{ customer.name }}"}}', told(200))
    assert (form.body, form.headers["Content-Type"]) == (
        b"a=x%26y%3Dz&b=1&b=2&c=Ana",
        "application/x-www-form-urlencoded",
    )
    _, [get] = await one("{get: /n}", told(200))
    assert (get.body, "Idempotency-Key" in get.headers) == (None, False)


@pytest.mark.parametrize(
    ("auth", "headers", "query"),
    [
        ('{bearer: "{{ secrets.TOKEN }}"}', {"Authorization": f"Bearer {TOKEN}"}, ""),
        ('{basic: {user: any, password: "{{ secrets.TOKEN }}"}}', {"Authorization": f"Basic {BASIC}"}, ""),
        ('{header: {A: "{{ secrets.TOKEN }}", B: "{{ settings.shop }}"}}', {"A": TOKEN, "B": "s1"}, ""),
        ('{query: {access_token: "{{ secrets.TOKEN }}"}}', {}, f"access_token={TOKEN}"),
    ],
)  # fmt: skip
async def test_the_ways_to_prove_who_calls(auth: str, headers: dict[str, str], query: str) -> None:
    caller = Played()
    text = f"connector: crm\nbase: https://crm.example\nauth: {auth}\ncalls: {{n: {{post: /n}}}}"
    found = connector(text, caller, AROUND)
    await found.call("n", {}, [subject()], ["k"])
    [asked] = caller.asked
    assert {name: asked.headers.get(name) for name in headers} == headers
    assert urlsplit(asked.url).query == query
    [shown] = found.render("n", {}, [subject()], ["k"])
    assert TOKEN not in repr(shown)
    assert "***" in repr(shown)
    assert "YW55" not in repr(shown)


async def test_a_setting_may_put_another_base_in_its_place() -> None:
    caller = Played()
    found = connector(
        calls("{post: /n}"), caller, {**AROUND, "SEGMENTD_CONNECTOR_CRM_BASE": "https://sandbox.example/x"}
    )
    await found.call("n", {}, [subject()], ["k"])
    assert caller.asked[0].url == "https://sandbox.example/x/n"


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("{post: '/{{ a }}/n'}", {"a": ".."}, "empty or made of dots"),
    ("{post: '/{{ a }}/n'}", {"a": ""}, "empty or made of dots"),
    ("{post: '{{ a }}'}", {"a": "file:///etc/passwd"}, "must begin with `https://`"),
    ("{post: '{{ a }}'}", {"a": 5}, "must be a text"),
    ("{post: '{{ a }}'}", {"a": "https://x.example/#y"}, "no `#` part"),
    ("{post: /n, headers: {X: '{{ a }}'}}", {"a": "b\r\nSet-Cookie: c"}, "the header X has line breaks"),
    ("{post: /n, headers: {X: '{{ a }}'}}", {"a": "ü"}, "others than ASCII"),
    ("{post: /n, headers: {X: '{{ a }}'}}", {"a": ["b"]}, "must be a text or a number"),
    ("{post: /n, query: {x: '{{ a }}'}}", {"a": {"b": 1}}, "must be a text or a number"),
    ("{post: /n, json: {x: '{{ a }}'}}", {"a": "\ud800"}, "cannot be JSON"),
    ("{post: /n, json: {x: '{{ a }}'}}", {"a": "{{ customer.nobody }}"}, "`customer.nobody` is undefined"),
    ("{post: /n, json: {x: '{{ a }}'}}", {}, "`a` is undefined"),
    ("{post: /n, json: {x: '{{ a }}'}}", {"a": "{{ b"}, "with.a: line 1"),
    ("{post: /n, json: {x: '{{ a }}'}}", {"a": "{{ secrets.TOKEN }}"}, "secret"),
]


@pytest.mark.parametrize(("text", "with_", "why"), REFUSED)
async def test_what_cannot_be_put_into_a_request_is_refused_unsent(text: str, with_: dict[str, Any], why: str) -> None:
    outcome, asked = await one(text, told(200), with_)
    assert isinstance(outcome, Refused | Failed)
    assert why in outcome.error
    assert asked == []


async def test_a_missing_setting_or_secret_can_be_mended() -> None:
    for name in ("settings.none", "secrets.NONE"):
        outcome, asked = await one(f"{{post: /n, json: {{x: '{{{{ {name} }}}}'}}}}", told(200))
        assert (outcome, asked) == (Failed(f"the {name.replace('s.', ' `')}` is not set"), [])


async def test_names_of_ours_cannot_be_taken_by_what_an_action_says() -> None:
    outcome, [asked] = await one("{post: /n, json: {x: '{{ customer.id }}'}}", told(200), {"customer": {"id": "eva"}})
    assert outcome == Done("HTTP 200", 200)
    assert asked.json == {"x": "ana"}


# -- answers ----------------------------------------------------------------------------------------------------------

ANSWERS: list[tuple[Answer | Exception, Outcome]] = [
    (told(201, {"id": 1}), Done("HTTP 201", 201)),
    (told(408), Failed("HTTP 408", 408)),
    (told(425), Failed("HTTP 425", 425)),
    (told(429, b"slower", {"retry-after": "3"}), Failed("HTTP 429: slower", 429, 3.0)),
    (told(500, b"oh\r\n no\x1b[31m"), Failed("HTTP 500: oh no [31m", 500)),
    (told(503, b"", {"retry-after": "Fri, 15 Jan 2027 08:01:00 GMT"}), Failed("HTTP 503", 503, 60.0)),
    (told(503, b"", {"retry-after": "soon"}), Failed("HTTP 503", 503)),
    (told(401, b"no"), Failed("the credentials are not accepted: HTTP 401: no", 401)),
    (told(403, b""), Failed("the credentials are not accepted: HTTP 403", 403)),
    (told(400, {"detail": "bad"}), Refused("HTTP 400: bad", 400)),
    (told(404), Refused("HTTP 404", 404)),
    (told(410), Refused("HTTP 410", 410)),
    (told(301), Failed("HTTP 301; redirects are not followed: mend the address", 301)),
    (told(422, b"x" * 5000), Refused("HTTP 422: " + "x" * 299 + "…", 422)),
    (told(400, f"you are {TOKEN}".encode()), Refused("HTTP 400: you are ***", 400)),
    (OutboundFailed("no answer"), Failed("no answer")),
    (OutboundRefused("not allowed"), Refused("not allowed")),
]


@pytest.mark.parametrize(("answer", "expected"), ANSWERS, ids=[str(outcome)[:40] for _, outcome in ANSWERS])
async def test_what_an_answer_means(answer: Answer | Exception, expected: Outcome) -> None:
    outcome, _ = await one("{post: /n}", answer, more="answer: {error: detail}")
    assert outcome == expected


async def test_a_document_says_what_else_is_fine_and_what_may_go_better() -> None:
    rules = """answer: {ok: "status == 'fine'", error: why, again: [busy], statuses: {ok: [404], again: [402]}}"""
    for answer, expected in (
        (told(200, {"status": "fine"}), Done("HTTP 200", 200)),
        (told(200, {"status": "bad", "why": "busy"}), Failed("HTTP 200: busy", 200)),
        (told(200, {"status": "bad", "why": "never"}), Refused("HTTP 200: never", 200)),
        (told(200, b"<html>"), Refused("HTTP 200: <html>", 200)),
        (told(404), Done("HTTP 404, which is fine here", 404)),
        (told(402, {"why": "unpaid"}), Failed("HTTP 402: unpaid", 402)),
    ):
        outcome, _ = await one("{post: /n}", answer, more=rules)
        assert outcome == expected


# -- many customers in one request ------------------------------------------------------------------------------------

BATCH = """
    post: "/lists/{{ list }}"
    batch: 3
    each: {email: "{{ customer.email }}", n: "{{ customer.n | default: omit }}"}
    json: {members: "{{ each }}", update: true}
    answer: {failed: {in: errors, by: email, error: why, again: [busy]}}"""


def people(*names: str, **more: Any) -> list[Any]:
    return [subject(name, {"email": f"{name}@x.example", "list": name[0], **more}) for name in names]


async def test_customers_go_together_up_to_the_batch_and_apart_where_their_requests_differ() -> None:
    caller = Played()
    found = connector(calls(BATCH), caller, AROUND)
    subjects = people("aa", "ab", "ba", "ac", "ad", "bb")
    outcomes = await found.call("n", {"list": "{{ customer.list }}"}, subjects, keys(subjects))
    assert outcomes == [Done("HTTP 200", 200)] * 6
    sent = [(urlsplit(asked.url).path, [each["email"][:2] for each in asked.json["members"]]) for asked in caller.asked]
    assert sorted(sent) == [("/v1/lists/a", ["aa", "ab", "ac"]), ("/v1/lists/a", ["ad"]), ("/v1/lists/b", ["ba", "bb"])]
    assert all(asked.json["update"] is True for asked in caller.asked)
    marks = {asked.headers["Idempotency-Key"] for asked in caller.asked}
    assert len(marks) == 3
    assert sum(mark.startswith("batch:") for mark in marks) == 2


async def test_those_whom_the_answer_names_were_not_taken() -> None:
    errors = [{"email": "AB@x.example", "why": "forbidden"}, {"email": "ac@x.example", "why": "busy"}]
    caller = Played(lambda _: told(200, {"errors": errors}))
    subjects = people("aa", "ab", "ac")
    found = connector(calls(BATCH), caller, AROUND)
    assert await found.call("n", {"list": 1}, subjects, keys(subjects)) == [
        Done("HTTP 200", 200),
        Refused("forbidden"),
        Failed("busy"),
    ]


async def test_a_batch_refused_for_somebody_unnamed_is_halved_until_it_is_known_for_whom() -> None:
    def answered(asked: Asked) -> Answer:
        bad = any(each["email"].startswith("ab") for each in asked.json["members"])
        return told(400, b"somebody") if bad else told(200)

    caller = Played(answered)
    subjects = people("aa", "ab", "ac")
    found = connector(calls(BATCH), caller, AROUND)
    outcomes = await found.call("n", {"list": 1}, subjects, keys(subjects))
    assert outcomes == [Done("HTTP 200", 200), Refused("HTTP 400: somebody", 400), Done("HTTP 200", 200)]
    assert [len(asked.json["members"]) for asked in caller.asked] == [3, 1, 2, 1, 1]


async def test_a_batch_that_fails_fails_for_all_of_it() -> None:
    caller = Played(lambda _: told(500))
    subjects = people("aa", "ab")
    found = connector(calls(BATCH), caller, AROUND)
    assert await found.call("n", {"list": 1}, subjects, keys(subjects)) == [Failed("HTTP 500", 500)] * 2
    assert len(caller.asked) == 1


# -- what would be sent -----------------------------------------------------------------------------------------------


async def test_showing_a_call_sends_nothing_and_needs_what_sending_needs() -> None:
    caller = Played()
    found = connector(calls("{post: /n, json: {a: '{{ a }}', t: '{{ secrets.TOKEN }}'}}"), caller, AROUND)
    [shown] = found.render("n", {"a": f"{TOKEN} too"}, [subject()], ["k"])
    assert (shown.body, shown.customers, shown.url) == (
        '{"a":"*** too","t":"***"}',
        ["ana"],
        "https://crm.example/v1/n",
    )
    with pytest.raises(RenderFailed, match="`a` is undefined"):
        found.render("n", {}, [subject()], ["k"])
    assert caller.asked == []


def test_what_an_action_writes_is_checked_before_anything_is_called() -> None:
    found = connector(calls("{post: /n, json: {a: '{{ text }}', b: '{{ user | default: omit }}'}}"), Played())
    assert not found.check("n", {"text": "Hi {{ customer.name }}", "user": [1, {"a": "{{ event.x }}"}]}, "actions[0]")
    user = [{"a": "{{ custmer.name }}"}, "{{ x", "{{ secrets.TOKEN }}", "{{ segment.nam }}", "{{ settings.shop }}"]
    wrong = found.check("n", {"txt": 1, "user": user}, "actions[0]", both_ways=True)
    assert [(each.at, each.message.partition(";")[0].partition(",")[0]) for each in wrong] == [
        ("actions[0].use", "`crm.n` cannot take back what it did"),
        ("actions[0].with.txt", "no such parameter of `crm.n` `txt`"),
        ("actions[0].with.text", "`crm.n` needs `text`"),
        ("actions[0].with.user[1]", "line 1"),
        ("actions[0].with.user[0].a", "no such variable `custmer`"),
        ("actions[0].with.user[2]", "secrets are read by connectors' documents only"),
        ("actions[0].with.user[3]", "no such variable `segment.nam`"),
        ("actions[0].with.user[4]", "no such variable `settings`"),
    ]  # fmt: skip
