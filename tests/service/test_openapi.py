"""The API's description: it covers every call, its examples are real, and it loads nothing from elsewhere."""

from __future__ import annotations

from typing import Any

import httpx2
import orjson
import pytest

from service import examples, examples_actions, examples_subscriptions
from tests.service.sending import WAIT


@pytest.fixture
async def description(client: httpx2.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get("/openapi.json")).json()
    return found


def bodies(description: dict[str, Any]) -> list[tuple[str, str, str, Any]]:
    """Every example of a request body: (method, path, media type, value)."""
    return [
        (method.upper(), path, media, each)
        for path, calls in description["paths"].items()
        for method, call in calls.items()
        for media, content in call.get("requestBody", {}).get("content", {}).items()
        for each in (
            [content["example"]] if "example" in content else [e["value"] for e in content["examples"].values()]
        )
    ]


async def test_every_call_has_a_summary_and_every_error_is_a_problem(description: dict[str, Any]) -> None:
    assert len(description["paths"]) >= 15
    for path, calls in description["paths"].items():
        for call in calls.values():
            assert call["summary"], path
            for status, told in call["responses"].items():
                if status == "default" or int(status) >= 400:
                    assert list(told["content"]) == ["application/problem+json"], (path, status)
                elif int(status) in (200, 201, 202):
                    assert any("example" in each or "examples" in each for each in told["content"].values()), path
    assert "HTTPValidationError" not in str(description)


async def test_every_example_that_can_be_sent_is_accepted(
    client: httpx2.AsyncClient, description: dict[str, Any]
) -> None:
    await client.put("/v1/segments/big-spenders", json=examples.DOCUMENT)
    subscription = (await client.post("/v1/subscriptions", json=examples_subscriptions.DOCUMENT)).json()["id"]
    sent = bodies(description)
    assert len(sent) >= 8
    for method, path, media, value in sent:
        content = value if isinstance(value, str) else orjson.dumps(value)
        names = {"segment": "big-spenders", "customer": "13748", "subscription": subscription, "action": "thank"}
        if "{action}" in path:  # what was sent before has changed the segment
            await client.put("/v1/segments/big-spenders", json=examples_actions.DOCUMENT)
        address = path.format_map(names)
        answer = await client.request(method, address, content=content, headers={"Content-Type": media})
        assert answer.status_code in (200, 201, 202), (method, path, answer.text)
        assert answer.json().get("valid", True) is True
        assert answer.json().get("rejected", []) in ([], 0)


async def test_the_examples_of_answers_are_what_the_service_answers(client: httpx2.AsyncClient) -> None:
    segment = (await client.put("/v1/segments/big-spenders", json=examples.DOCUMENT, headers=WAIT)).json()
    assert segment["words"] == examples.WORDS
    assert segment.keys() == examples.SEGMENT.keys()
    await client.post("/v1/events", json=examples.EVENT | {"ts": None}, headers=WAIT)
    found = (await client.get("/v1/customers/13748/segments/big-spenders?explain=true")).json()
    example = examples.CUSTOMER_SEGMENT[200]["content"]["application/json"]["example"]
    assert found.keys() == example.keys()
    tree = found["explanation"]["enter"]
    assert tree | {"until": examples.TREE["until"]} == examples.TREE
    status = (await client.get("/v1/status")).json()
    told = examples.STATUS[200]["content"]["application/json"]["example"]
    assert status.keys() == told.keys()
    assert {frozenset(each) for each in status["partitions"]} == {frozenset(told["partitions"][0])}
    customer = (await client.get("/v1/customers/13748")).json()
    assert customer.keys() == examples.GET_CUSTOMER[200]["content"]["application/json"]["example"].keys()


async def test_there_are_no_pages_that_load_from_elsewhere(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/docs")).status_code == 404
    assert (await client.get("/redoc")).status_code == 404
