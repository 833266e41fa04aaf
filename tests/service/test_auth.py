"""Tokens: what each scope lets through, and that a token is never told."""

from __future__ import annotations

import asyncio
import hashlib

import httpx2
import pytest
from pydantic import ValidationError

from service.auth import parse_tokens
from service.settings import Settings
from tests.service.conftest import client_of, opened
from tests.service.sending import BUYERS, event, is_problem

INGEST, READ, MANAGE = "ingest-0123456789", "read-0123456789ab", "manage-0123456789"
TOKENS = f"{INGEST}:ingest, {READ}:read,{MANAGE}:manage"

CALLS = [
    ("POST", "/v1/events", "ingest"),
    ("GET", "/v1/segments", "read"),
    ("GET", "/v1/segments/buyers", "read"),
    ("PUT", "/v1/segments/buyers", "manage"),
    ("DELETE", "/v1/segments/buyers", "manage"),
    ("POST", "/v1/segments/buyers/pause", "manage"),
    ("POST", "/v1/segments/buyers/resume", "manage"),
    ("POST", "/v1/segments/validate", "read"),
    ("GET", "/v1/segments/buyers/members", "read"),
    ("PUT", "/v1/segments/buyers/members/ana", "manage"),
    ("DELETE", "/v1/segments/buyers/members/ana", "manage"),
    ("POST", "/v1/segments/buyers/members", "manage"),
    ("GET", "/v1/imports", "read"),
    ("GET", "/v1/imports/{import}", "read"),
    ("GET", "/v1/segments/buyers/actions", "read"),
    ("GET", "/v1/segments/buyers/actions/{action}/calls", "read"),
    ("POST", "/v1/segments/buyers/actions/{action}/calls/{key}/resend", "manage"),
    ("POST", "/v1/segments/buyers/actions/{action}/runs", "manage"),
    ("POST", "/v1/segments/buyers/actions/{action}/try", "manage"),
    ("GET", "/v1/segments/buyers/feed", "read"),
    ("GET", "/v1/runs/{run}", "read"),
    ("DELETE", "/v1/runs/{run}", "manage"),
    ("GET", "/v1/customers/ana", "read"),
    ("GET", "/v1/customers/ana/segments", "read"),
    ("GET", "/v1/customers/ana/segments/buyers", "read"),
    ("POST", "/v1/membership/check", "read"),
    ("GET", "/v1/transitions?from=x", "read"),
    ("GET", "/v1/status", "read"),
    ("GET", "/v1/dead-letters", "manage"),
    ("GET", "/v1/mail/suppressions", "manage"),
    ("PUT", "/v1/mail/suppressions", "manage"),
    ("DELETE", "/v1/mail/suppressions", "manage"),
    ("GET", "/metrics", "read"),
    ("GET", "/v1/subscriptions", "read"),
    ("POST", "/v1/subscriptions", "manage"),
    ("GET", "/v1/subscriptions/{subscription}", "read"),
    ("PUT", "/v1/subscriptions/{subscription}", "manage"),
    ("PATCH", "/v1/subscriptions/{subscription}", "manage"),
    ("DELETE", "/v1/subscriptions/{subscription}", "manage"),
    ("POST", "/v1/subscriptions/{subscription}/pause", "manage"),
    ("POST", "/v1/subscriptions/{subscription}/resume", "manage"),
    ("POST", "/v1/subscriptions/{subscription}/secret", "manage"),
    ("POST", "/v1/subscriptions/{subscription}/test", "manage"),
    ("GET", "/v1/subscriptions/{subscription}/deliveries", "read"),
    ("POST", "/v1/subscriptions/{subscription}/deliveries/{item}/resend", "manage"),
    ("POST", "/v1/subscriptions/{subscription}/replay", "manage"),
    ("GET", "/v1/subscriptions/{subscription}/jobs", "read"),
    ("GET", "/v1/subscriptions/{subscription}/jobs/{job}", "read"),
    ("POST", "/v1/subscriptions/{subscription}/jobs/{job}/stop", "manage"),
]
OPEN = ["/", "/app.js", "/style.css", "/healthz", "/readyz", "/openapi.json"]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"tokens": parse_tokens(TOKENS)})


@pytest.mark.parametrize(("method", "path", "scope"), CALLS)
async def test_a_call_needs_its_scope(client: httpx2.AsyncClient, method: str, path: str, scope: str) -> None:
    answer = await client.request(method, path)
    is_problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == f'Bearer realm="segmentd", scope="{scope}"'
    answer = await client.request(method, path, headers={"Authorization": "Bearer nobody-knows-this-one"})
    is_problem(answer, 401, "unauthorized")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    for token, scopes in ((INGEST, {"ingest"}), (READ, {"read"}), (MANAGE, {"read", "manage"})):
        answer = await client.request(method, path, headers={"Authorization": f"Bearer {token}"})
        if scope in scopes:
            assert answer.status_code not in (401, 403)
        else:
            is_problem(answer, 403, "forbidden")
            assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
        assert token not in answer.text


async def test_every_call_of_the_api_is_in_the_table_above(client: httpx2.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    told = {(method.upper(), path) for path, calls in paths.items() for method in calls}
    asked = {
        (method, path.partition("?")[0].replace("buyers", "{segment}").replace("ana", "{customer}"))
        for method, path, _ in CALLS
    }
    assert told - asked == {("GET", "/healthz"), ("GET", "/readyz")}


@pytest.mark.parametrize("path", OPEN)
async def test_the_page_and_health_are_open(client: httpx2.AsyncClient, path: str) -> None:
    async with asyncio.timeout(30):  # until the evaluator has its partitions, /readyz says so
        while (answer := await client.get(path)).status_code == 503:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert answer.status_code == 200


@pytest.mark.parametrize("header", ["Basic abc", "Bearer", "", "Bearer  ", MANAGE])
async def test_what_is_no_bearer_token_is_401(client: httpx2.AsyncClient, header: str) -> None:
    is_problem(await client.get("/v1/segments", headers={"Authorization": header}), 401, "unauthorized")


async def test_without_tokens_everybody_may_do_everything(settings: Settings) -> None:
    free = settings.model_copy(update={"tokens": parse_tokens("")})
    async with opened(free, evaluate=False) as services, client_of(services) as client:
        assert (await client.put("/v1/segments/buyers", json=BUYERS)).status_code == 201
        assert (await client.post("/v1/events", json=event("1", "ana"))).status_code == 202


@pytest.mark.parametrize(
    ("value", "scopes"),
    [
        (f"{READ}:read+ingest", {"read", "ingest"}),
        (f" {READ}:read , {INGEST}:ingest,", {"read"}),
        (f'{{"{READ}": ["read", "manage"]}}', {"read", "manage"}),
        (f"{READ}:manage", {"read", "manage"}),
        ("with:colon:in:it:0123:read", None),
    ],
)
def test_tokens_are_read_from_text_and_json(
    monkeypatch: pytest.MonkeyPatch, value: str, scopes: set[str] | None
) -> None:
    monkeypatch.setenv("SEGMENTD_TOKENS", value)
    found = Settings().tokens.scopes_of(READ)
    assert found == (None if scopes is None else scopes)
    assert bool(Settings().tokens)


def test_a_token_has_the_name_that_it_is_given_or_the_beginning_of_its_hash() -> None:
    named = parse_tokens(f'{{"{READ}": {{"name": "ana", "scopes": ["read"]}}, "{MANAGE}": ["manage"]}}')
    assert named.name_of(READ) == "ana"
    assert named.scopes_of(READ) == frozenset({"read"})
    assert named.name_of(MANAGE) == f"token-{hashlib.sha256(MANAGE.encode()).hexdigest()[:6]}"
    assert named.name_of("somebody-else-0123") == "anonymous"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (f'{{"{READ}": {{"name": "ana"}}}}', "token 1: is {"),
        (f'{{"{READ}": {{"name": "", "scopes": ["read"]}}}}', "token 1: its name has 1 to 64"),
        (f'{{"{READ}": {{"name": 5, "scopes": ["read"]}}}}', "token 1: its name has 1 to 64"),
        (f'{{"{READ}": {{"name": "a\\nb", "scopes": ["read"]}}}}', "token 1: its name has 1 to 64"),
        (f'{{"{READ}": {{"name": "anonymous", "scopes": ["read"]}}}}', "token 1: its name is not"),
        ("secret-token-without-scopes", "token 1: has fewer than 16 characters (or no `:scopes` after it)"),
        (f"{READ}:read,short:read", "token 2: has fewer than 16"),
        (f"{READ}:write", "token 1: no such scope"),
        (f"{READ}:", "token 1: no such scope"),
        ("sécret-0123456789ab:read", "token 1: only printable ASCII"),
        ('{"a": ', "not a JSON object"),
        (f'{{"{READ}": 5}}', "token 1: needs scopes"),
    ],
)
def test_a_bad_token_setting_is_told_without_telling_the_token(
    monkeypatch: pytest.MonkeyPatch, value: str, told: str
) -> None:
    monkeypatch.setenv("SEGMENTD_TOKENS", value)
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert told in str(caught.value)
    assert READ not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_settings_never_show_a_token_or_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGMENTD_TOKENS", f"{READ}:read")
    monkeypatch.setenv("REDIS_URL", "redis://user:hunter2@localhost")
    shown = repr(Settings()) + str(Settings().model_dump())
    assert READ not in shown
    assert "hunter2" not in shown
