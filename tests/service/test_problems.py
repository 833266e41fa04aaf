"""Errors: always a problem, located where something is at fault, and nothing internal told."""

from __future__ import annotations

import httpx2
import pytest

from service.wiring import Services
from tests.service.conftest import client_of
from tests.service.sending import is_problem


@pytest.mark.parametrize(
    "path", ["/nowhere", "/v1", "/v1/segments/", "/docs", "/redoc", "/v1/customers/a/b/c", "/../x"]
)
async def test_an_unknown_address_is_a_404_problem(client: httpx2.AsyncClient, path: str) -> None:
    is_problem(await client.get(path), 404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/v1/events", {"POST"}), ("PATCH", "/v1/segments", {"GET"}), ("DELETE", "/", {"GET", "HEAD"})],
)
async def test_a_method_that_an_address_does_not_know_is_a_405_problem(
    client: httpx2.AsyncClient, method: str, path: str, allowed: set[str]
) -> None:
    answer = await client.request(method, path)
    is_problem(answer, 405, "method-not-allowed")
    assert set(answer.headers["allow"].replace(" ", "").split(",")) == allowed


async def test_what_breaks_inside_is_a_500_problem_that_tells_nothing(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> None:
        raise RuntimeError("password=hunter2 in /srv/secret.py")

    monkeypatch.setattr(services.registry, "snapshot", broken)
    async with client_of(services) as client:
        answer = await client.get("/v1/segments")
    is_problem(answer, 500, "internal")
    for internal in ("hunter2", "secret", "RuntimeError", "Traceback"):
        assert internal not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_wrong_parameter_is_located_and_not_echoed(client: httpx2.AsyncClient) -> None:
    problem = is_problem(await client.get("/v1/segments?limit=lots-of-them"), 400, "invalid-parameter")
    [error] = problem["errors"]
    assert error["at"] == "limit"
    assert "lots-of-them" not in error["message"]


@pytest.mark.parametrize("path", ["/", "/v1/segments", "/nowhere", "/openapi.json", "/healthz"])
async def test_every_answer_says_how_browsers_may_use_it(client: httpx2.AsyncClient, path: str) -> None:
    headers = (await client.get(path)).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src ")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
