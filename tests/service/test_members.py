"""Members: listed newest first, added and removed by hand."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import orjson
import pytest

from service.auth import parse_tokens
from service.settings import Settings
from tests.service.conftest import client_of, opened
from tests.service.sending import BUYERS, WAIT, event, is_problem, members, put, send

LATER = "2099-01-01T00:00:00Z"


async def by_hand(client: httpx2.AsyncClient, method: str, path: str, **more: Any) -> dict[str, Any]:
    headers = WAIT | more.pop("headers", {})
    answer = await client.request(method, f"/v1/segments/buyers/members/{path}", headers=headers, **more)
    assert answer.status_code == 202, answer.text
    assert answer.json()["applied"] is True
    found: dict[str, Any] = answer.json()
    return found


async def test_members_come_newest_first_and_page_by_cursor(client: httpx2.AsyncClient) -> None:
    await put(client, BUYERS)
    for number, customer in enumerate(("ana", "bea", "cid")):
        await send(client, event(str(number), customer))
    first = (await client.get("/v1/segments/buyers/members?limit=2")).json()
    assert [member["customer_id"] for member in first["members"]] == ["cid", "bea"]
    assert first["members"][0]["since"] >= first["members"][1]["since"]
    rest = (await client.get("/v1/segments/buyers/members", params={"limit": 2, "cursor": first["cursor"]})).json()
    assert [member["customer_id"] for member in rest["members"]] == ["ana"]
    assert rest["cursor"] is None
    assert rest["position"] == first["position"]


async def test_members_of_no_segment_are_404(client: httpx2.AsyncClient) -> None:
    is_problem(await client.get("/v1/segments/nobody/members"), 404, "no-segment")
    is_problem(await client.put("/v1/segments/nobody/members/ana"), 404, "no-segment")
    is_problem(await client.delete("/v1/segments/nobody/members/ana"), 404, "no-segment")


async def test_somebody_added_by_hand_stays_until_cleared(client: httpx2.AsyncClient) -> None:
    await put(client, BUYERS)
    told = await by_hand(client, "PUT", "ana")
    assert (told["customer_id"], told["segment"], told["action"]) == ("ana", "buyers", "add")
    assert await members(client, "buyers") == ["ana"]
    await by_hand(client, "DELETE", "ana?clear=true")
    assert await members(client, "buyers") == []


async def test_somebody_removed_by_hand_is_not_brought_back_by_a_purchase(client: httpx2.AsyncClient) -> None:
    await put(client, BUYERS)
    await send(client, event("1", "ana"))
    assert (await by_hand(client, "DELETE", "ana"))["action"] == "remove"
    await send(client, event("2", "ana"))
    assert await members(client, "buyers") == []
    await by_hand(client, "DELETE", "ana", params={"clear": "true"})
    assert await members(client, "buyers") == ["ana"]


async def test_of_changes_by_hand_right_after_one_another_the_last_wins(client: httpx2.AsyncClient) -> None:
    await put(client, BUYERS)
    for _ in range(5):
        await client.put("/v1/segments/buyers/members/ana")
        await client.delete("/v1/segments/buyers/members/ana")
    await by_hand(client, "PUT", "ana")
    assert await members(client, "buyers") == ["ana"]


@pytest.mark.parametrize("more", [{"params": {"until": LATER}}, {"json": {"until": LATER}}])
async def test_until_is_taken_from_the_query_or_the_body(client: httpx2.AsyncClient, more: dict[str, Any]) -> None:
    await put(client, BUYERS)
    assert (await by_hand(client, "PUT", "ana", **more))["until"] == LATER
    found = (await client.get("/v1/customers/ana/segments/buyers")).json()
    assert found["override"] == {"action": "add", "until": LATER, "by": "anonymous"}
    assert found["leaves_at"] == LATER


async def test_when_until_comes_the_rule_decides_again(client: httpx2.AsyncClient) -> None:
    await put(client, BUYERS)
    until = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    await by_hand(client, "PUT", "ana", params={"until": until})
    assert await members(client, "buyers") == ["ana"]
    deadline, sent = time.monotonic() + 20, 0
    while await members(client, "buyers") and time.monotonic() < deadline:
        await send(client, event(f"x{sent}", "bea", "page_view"))  # nothing else happens in that partition
        sent += 1
    assert await members(client, "buyers") == []


async def test_the_same_key_counts_once_and_another_request_under_it_is_another(client: httpx2.AsyncClient) -> None:
    await put(client, BUYERS)
    key = {"Idempotency-Key": "k-1"}
    first = await by_hand(client, "PUT", "ana", headers=key)
    await by_hand(client, "DELETE", "ana", params={"clear": "true"})
    again = await by_hand(client, "PUT", "ana", headers=key)
    assert again["event_id"] == first["event_id"]
    assert await members(client, "buyers") == []
    other = await by_hand(client, "PUT", "bea", headers=key)
    assert other["event_id"] != first["event_id"]
    assert await members(client, "buyers") == ["bea"]


async def test_who_did_it_is_told_by_the_transition_and_the_membership(settings: Settings) -> None:
    token, plain = "0123456789abcdef", "fedcba9876543210"
    tokens = parse_tokens({token: {"name": "maria", "scopes": ["manage"]}, plain: ["manage"]})
    async with opened(settings.model_copy(update={"tokens": tokens})) as services:
        async with client_of(services, Authorization=f"Bearer {token}") as client:
            await put(client, BUYERS)
            assert (await by_hand(client, "PUT", "ana"))["by"] == "maria"
            found = (await client.get("/v1/customers/ana/segments/buyers")).json()
            assert found["override"] == {"action": "add", "until": None, "by": "maria"}
        async with client_of(services, Authorization=f"Bearer {plain}") as client:
            told = (await by_hand(client, "DELETE", "ana"))["by"]
            assert told == parse_tokens({plain: ["manage"]}).known[0].name
            assert plain not in told
        page = await services.feed.read(await services.feed.oldest())
        reasons = [orjson.loads(item.data)["data"]["why"][0] for item in page.items]
        assert [(each["value"], each["by"]) for each in reasons] == [("add", "maria"), ("remove", told)]


async def test_an_event_of_a_sender_may_say_who_did_it_in_few_words(client: httpx2.AsyncClient) -> None:
    await put(client, BUYERS)
    order = {"segment": "buyers", "action": "add"}
    await send(client, event("1", "ana", "membership", **order, by="the till in Oslo"))
    assert (await client.get("/v1/customers/ana/segments/buyers")).json()["override"]["by"] == "the till in Oslo"
    for bad in ("", "x" * 65, 5, ["ana"]):
        answer = await client.post("/v1/events", json=event("2", "ana", "membership", **order, by=bad))
        assert is_problem(answer, 422, "events-rejected")["rejected"][0]["error"].startswith("properties.by: ")


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("PUT", "ana?until=tomorrow", {}),
        ("PUT", "ana?until=2020-01-01T00:00:00Z", {}),
        ("DELETE", "ana?until=2099-01-01T00:00:00Z&clear=true", {}),
        ("DELETE", "ana?clear=perhaps", {}),
        ("PUT", "ana", {"json": {"untill": LATER}}),
        ("PUT", "ana", {"json": [1]}),
        ("PUT", "ana", {"json": {"until": 5}}),
        ("PUT", "a" * 129, {}),
        ("PUT", "ana", {"headers": {"Idempotency-Key": "k" * 256}}),
    ],
)
async def test_a_change_by_hand_that_cannot_be_meant_is_400(
    client: httpx2.AsyncClient, method: str, path: str, more: dict[str, Any]
) -> None:
    await put(client, BUYERS)
    answer = await client.request(method, f"/v1/segments/buyers/members/{path}", **more)
    is_problem(answer, 400, "invalid-parameter")
    assert await members(client, "buyers") == []


async def test_a_customer_whose_id_has_a_slash_can_be_named(client: httpx2.AsyncClient) -> None:
    await put(client, BUYERS)
    for number, customer in enumerate(("a/b", "ü ñ?#%", "..", "a%2Fb")):
        await send(client, event(str(number), customer))
        path = f"/v1/customers/{customer.translate(str.maketrans(ENCODED))}/segments"
        found = (await client.get(path)).json()
        assert found["customer_id"] == customer
        assert [each["segment"] for each in found["segments"]] == ["buyers"]


ENCODED: dict[str, str | int | None] = {"/": "%2F", "?": "%3F", "#": "%23", "%": "%25", " ": "%20", ".": "%2E"}


async def test_cursors_and_positions_work_with_as_many_partitions_and_as_long_ids_as_may_be(
    settings: Settings,
) -> None:
    async with opened(settings.model_copy(update={"partitions": 64})) as services, client_of(services) as client:
        await put(client, BUYERS)
        people = [f"{number}{'ü' * 127}" for number in range(3)]
        await send(client, *(event(person, person) for person in people))
        found: list[str] = []
        query: dict[str, Any] = {"limit": 1}
        while True:
            answer = await client.get("/v1/segments/buyers/members", params=query)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            found += [member["customer_id"] for member in page["members"]]
            if page["cursor"] is None:
                break
            query["cursor"] = page["cursor"]
        assert sorted(found) == people
