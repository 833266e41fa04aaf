"""What the tests over HTTP send again and again."""

from __future__ import annotations

from typing import Any

import httpx2

WAIT = {"Prefer": "wait=10"}
BUYERS: dict[str, Any] = {"id": "buyers", "name": "Buyers", "enter": {"event": "purchase", "within": "30d"}}


def event(event_id: str, customer: str, event_type: str = "purchase", **properties: Any) -> dict[str, Any]:
    return {"id": event_id, "type": event_type, "customer_id": customer, "properties": properties}


async def send(client: httpx2.AsyncClient, *events: dict[str, Any]) -> dict[str, Any]:
    """Sends events, waits until they were applied, and answers what was said."""
    answer = await client.post("/v1/events", json=list(events), headers=WAIT)
    assert answer.status_code == 202, answer.text
    assert answer.json()["applied"] is True
    found: dict[str, Any] = answer.json()
    return found


async def put(client: httpx2.AsyncClient, document: dict[str, Any]) -> dict[str, Any]:
    """Makes or changes a segment, and waits until everybody was judged by it."""
    answer = await client.put(f"/v1/segments/{document['id']}", json=document, headers=WAIT)
    assert answer.status_code in (200, 201), answer.text
    found: dict[str, Any] = answer.json()
    assert found["state"] == "active", found
    return found


async def members(client: httpx2.AsyncClient, segment: str) -> list[str]:
    answer = await client.get(f"/v1/segments/{segment}/members")
    assert answer.status_code == 200, answer.text
    return [member["customer_id"] for member in answer.json()["members"]]


def is_problem(answer: httpx2.Response, status: int, name: str) -> dict[str, Any]:
    """Asserts that an answer is that problem, and gives it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["type"] == f"urn:segmentd:problem:{name}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    return problem
