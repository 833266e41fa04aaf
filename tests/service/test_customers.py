"""One customer over HTTP: profile, memberships, and why; and many at once."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from service.settings import Settings
from tests.service.conftest import client_of, opened
from tests.service.sending import BUYERS, event, is_problem, put, send

PROFILE = {"set": {"country": "BR", "age": 31, "old": 1}, "tags_add": ["vip", "early"]}
WORTHY: dict[str, Any] = {
    "id": "worthy",
    "enter": {
        "all": [
            {"event": "purchase", "within": "30d", "sum": {"of": "amount", "gte": 100}},
            {"not": {"tag": "banned"}},
        ]
    },
}


async def test_a_customer_is_told_with_attributes_tags_and_aggregates(client: httpx2.AsyncClient) -> None:
    await put(client, WORTHY)
    await send(client, event("p", "ana", "profile", **PROFILE), event("1", "ana", amount=60.1))
    await send(client, event("p2", "ana", "profile", unset=["old"], tags_remove=["early"]), event("2", "ana", amount=5))
    found = (await client.get("/v1/customers/ana")).json()
    assert found["attributes"] == {"age": 31, "country": "BR"}
    assert found["tags"] == ["vip"]
    assert found["aggregates"] == [
        {
            "segments": ["worthy"],
            "at": "enter.all[0]",
            "event": ["purchase"],
            "measure": "sum",
            "of": "amount",
            "value": 65.1,
        }
    ]
    assert found["as_of"].endswith("Z")


async def test_somebody_never_seen_is_404_but_in_no_segment(client: httpx2.AsyncClient) -> None:
    await put(client, BUYERS)
    is_problem(await client.get("/v1/customers/zed"), 404, "no-customer")
    assert (await client.get("/v1/customers/zed/segments")).json()["segments"] == []
    found = (await client.get("/v1/customers/zed/segments/buyers?explain=true")).json()
    assert found["member"] is False
    assert found["explanation"]["enter"]["holds"] is False


async def test_memberships_have_since_and_the_instant_they_end_if_nothing_happens(client: httpx2.AsyncClient) -> None:
    await put(client, BUYERS)
    await put(client, {"id": "ever", "enter": {"event": "purchase"}})
    await send(client, event("1", "ana"))
    ever, buyers = sorted(
        (await client.get("/v1/customers/ana/segments")).json()["segments"], key=lambda each: each["segment"] != "ever"
    )
    assert (ever["segment"], ever["leaves_at"], ever["sequence"]) == ("ever", None, 1)
    assert buyers["leaves_at"] > buyers["since"]


async def test_a_membership_is_explained_with_every_condition_in_words(client: httpx2.AsyncClient) -> None:
    await put(client, WORTHY)
    await send(client, event("1", "ana", amount=120))
    found = (await client.get("/v1/customers/ana/segments/worthy?explain=true")).json()
    assert found["member"] is True
    tree = found["explanation"]["enter"]
    assert (tree["at"], tree["kind"], tree["holds"], tree["text"]) == ("enter", "all", True, "all of these")
    spent, banned = tree["of"]
    assert spent["value"] == 120
    assert spent["asked"] == {"gte": 100}
    assert spent["until"] == found["leaves_at"]
    assert spent["text"] == "has a total amount of at least 100 over purchases in the last 30 days"
    assert banned["of"][0]["text"] == 'has the tag "banned"'
    assert banned["of"][0]["holds"] is False


async def test_without_explain_there_is_no_tree_and_an_unknown_segment_is_404(client: httpx2.AsyncClient) -> None:
    await put(client, BUYERS)
    assert "explanation" not in (await client.get("/v1/customers/ana/segments/buyers")).json()
    is_problem(await client.get("/v1/customers/ana/segments/sellers"), 404, "no-segment")
    is_problem(await client.get("/v1/customers/ana/segments/buyers?explain=maybe"), 400, "invalid-parameter")
    is_problem(await client.get(f"/v1/customers/{'a' * 129}"), 400, "invalid-parameter")


async def test_a_check_answers_who_is_in_what(client: httpx2.AsyncClient) -> None:
    await put(client, BUYERS)
    await put(client, WORTHY)
    await send(client, event("1", "ana", amount=120), event("2", "bea", amount=1))
    asked: dict[str, Any] = {"customers": ["ana", "bea", "zed", "ana"], "segments": ["worthy", "buyers"]}
    found = (await client.post("/v1/membership/check", json=asked)).json()
    assert found["matrix"] == {
        "ana": {"worthy": True, "buyers": True},
        "bea": {"worthy": False, "buyers": True},
        "zed": {"worthy": False, "buyers": False},
    }
    everything = (await client.post("/v1/membership/check", json={"customers": ["ana"]})).json()
    assert everything["matrix"] == {"ana": {"buyers": True, "worthy": True}}


@pytest.mark.parametrize(
    ("asked", "at"),
    [
        ({"customers": [], "segments": []}, "customers"),
        ({"customers": "ana"}, "customers"),
        ({"customers": [1]}, "customers[0]"),
        ({"customers": [""]}, "customers[0]"),
        ({"customers": ["ana"], "segmentz": []}, "body"),
        ({"segments": []}, "body"),
        ([], "body"),
    ],
)
async def test_a_bad_check_is_told_with_its_place(client: httpx2.AsyncClient, asked: Any, at: str) -> None:
    problem = is_problem(await client.post("/v1/membership/check", json=asked), 422, "invalid-parameter")
    assert [error["at"] for error in problem["errors"]] == [at]


async def test_a_check_of_unknown_segments_is_404_and_of_what_is_no_json_400(client: httpx2.AsyncClient) -> None:
    asked = {"customers": ["ana"], "segments": ["x", "y"]}
    problem = is_problem(await client.post("/v1/membership/check", json=asked), 404, "no-segment")
    assert problem["unknown"] == ["x", "y"]
    for content in (b"{", b"\xff", b'{"customers": ["a"]'):
        is_problem(await client.post("/v1/membership/check", content=content), 400, "unreadable")


async def test_a_check_has_limits(settings: Settings) -> None:
    small = settings.model_copy(update={"check_customers_max": 3, "check_cells_max": 2})
    async with opened(small, evaluate=False) as services, client_of(services) as client:
        await client.put("/v1/segments/buyers", json=BUYERS)
        answer = await client.post("/v1/membership/check", json={"customers": ["a", "b", "c", "d"]})
        assert is_problem(answer, 422, "invalid-parameter")["limit_customers"] == 3
        answer = await client.post("/v1/membership/check", json={"customers": ["a", "b", "c"]})
        assert is_problem(answer, 422, "invalid-parameter")["limit_cells"] == 2
