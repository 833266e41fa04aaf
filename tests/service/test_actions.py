"""Actions over HTTP: what sets them off, calls that fail and are made again, runs, one call tried."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from consumers.delivery.port import Failed, Refused
from service.settings import Settings
from tests.service.acting import Shop, acting, until_true
from tests.service.sending import WAIT, event, is_problem, put, send

RULE: dict[str, Any] = {"id": "buyers", "name": "Buyers", "enter": {"event": "purchase", "within": "30d"}}
TASK: dict[str, Any] = {"id": "call", "on": "entered", "use": "crm.task", "with": {"text": "Call"}}


@pytest.fixture
async def shop(settings: Settings) -> AsyncIterator[Shop]:
    async with acting(settings) as shop:
        yield shop


def buyers(*actions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**RULE, "actions": list(actions), **more}


async def test_entering_and_leaving_set_off_what_waits_for_them(shop: Shop) -> None:
    await put(shop.client, buyers(TASK, TASK | {"id": "bye", "on": "exited", "use": "crm.done"}))
    await send(shop.client, event("1", "ana"))
    await shop.called("ana")
    await shop.client.delete("/v1/segments/buyers/members/ana", headers=WAIT)
    await shop.called("ana", "ana")
    assert [(call, keys) for call, _, _, keys in shop.crm.said] == [
        ("task", ["call:buyers:ana:1"]),
        ("done", ["bye:buyers:ana:2"]),
    ]


async def test_each_event_of_a_member_sets_off_what_waits_for_it(shop: Shop) -> None:
    await put(shop.client, buyers(TASK | {"on": {"event": "order_returned"}}))
    await send(
        shop.client,
        event("r1", "ana", "order_returned"),
        event("p1", "ana"),
        event("r2", "ana", "order_returned", order="o-1"),
        event("r2", "ana", "order_returned", order="o-1"),
        event("r3", "bea", "order_returned"),
        event("r4", "ana", "order_returned", order="o-2"),
    )
    await shop.called("ana", "ana")
    said = [(subjects[0].event or {}, keys) for _, _, subjects, keys in shop.crm.said]
    assert [(told["properties"]["order"], keys) for told, keys in said] == [
        ("o-1", ["call:buyers:ana:event:order_returned:r2"]),
        ("o-2", ["call:buyers:ana:event:order_returned:r4"]),
    ]


async def test_a_tag_set_by_one_action_sets_off_another_and_a_ring_of_them_ends(shop: Shop) -> None:
    """Each makes the other's members leave and come back, for as long as somebody counts."""
    tag = {"id": "tag", "on": "entered", "use": "profile.tag", "with": {"tags": "vip"}}
    untag = {"id": "untag", "on": "entered", "use": "profile.untag", "with": {"tags": "vip"}}
    await put(shop.client, {"id": "tagged", "enter": {"tag": "vip"}, "actions": [untag]})
    await put(shop.client, {"id": "untagged", "enter": {"all": [{"event": "start"}, {"not": {"tag": "vip"}}]},
                            "actions": [tag]})  # fmt: skip
    await send(shop.client, event("s", "ana", "start"))

    async def cut() -> bool:
        found = [await shop.get(f"/v1/segments/{each}/calls", state="failed") for each in
                 ("tagged/actions/untag", "untagged/actions/tag")]  # fmt: skip
        return any(each["calls"] for each in found)

    await until_true(cut)
    calls = [
        *(await shop.get("/v1/segments/tagged/actions/untag/calls", state="failed"))["calls"],
        *(await shop.get("/v1/segments/untagged/actions/tag/calls", state="failed"))["calls"],
    ]
    assert len(calls) == 1
    assert "ring" in calls[0]["detail"]
    assert "untagged/tag -> tagged/untag -> untagged/tag" in calls[0]["detail"]
    done = [(await shop.get(f"/v1/segments/{each}"))["actions"][0]["done"] for each in
            ("tagged/actions", "untagged/actions")]  # fmt: skip
    assert sum(done) == 8


async def test_what_was_given_up_is_listed_and_made_again_under_the_same_key(shop: Shop) -> None:
    await put(shop.client, buyers(TASK))
    shop.crm.answers["ana"] = Refused("no such contact", 404)
    await send(shop.client, event("1", "ana"), event("2", "bea"))
    await shop.called("ana", "bea")

    async def given_up() -> bool:
        return bool((await shop.get("/v1/segments/buyers/actions/call/calls", state="failed"))["calls"])

    await until_true(given_up)
    [call] = (await shop.get("/v1/segments/buyers/actions/call/calls", state="failed"))["calls"]
    assert (call["key"], call["customer_id"], call["status"], call["detail"]) == (
        "call:buyers:ana:1", "ana", 404, "no such contact",
    )  # fmt: skip
    del shop.crm.answers["ana"]
    address = f"/v1/segments/buyers/actions/call/calls/{quote(call['key'], safe='')}/resend"
    assert (await shop.client.post(address)).status_code == 202
    await shop.called("ana", "bea", "ana")
    assert shop.crm.keys.count("call:buyers:ana:1") == 2
    is_problem(await shop.client.post("/v1/segments/buyers/actions/call/calls/call%3Anone/resend"), 404, "no-call")


async def test_a_run_tells_its_failures_and_is_stopped(shop: Shop) -> None:
    await put(shop.client, buyers(TASK))
    await send(shop.client, *(event(str(n), f"c{n}") for n in range(6)))
    await shop.called(*(f"c{n}" for n in range(6)))
    shop.crm.answers = {"c1": Refused("no address"), "c2": Failed("timed out")}
    begun = (await shop.client.post("/v1/segments/buyers/actions/call/runs", headers={"Idempotency-Key": "k"})).json()
    again = (await shop.client.post("/v1/segments/buyers/actions/call/runs", headers={"Idempotency-Key": "k"})).json()
    assert begun == again
    assert begun["members"] == 6
    path = f"/v1/runs/{begun['run']}"

    async def most() -> bool:
        report = await shop.get(path)
        return bool(report["done"] == 4 and report["failed"] == 1)

    await until_true(most)
    report = await shop.get(path)
    assert (report["state"], report["members"], report["queued"]) == ("running", 6, 6)
    [failure] = report["failures"]
    assert (failure["key"], failure["detail"]) == (f"call:run:{begun['run']}:c1", "no address")
    stopped = await shop.client.delete(path)
    assert (stopped.status_code, stopped.json()["state"]) == (200, "stopped")
    is_problem(await shop.client.get("/v1/runs/none"), 404, "no-run")
    is_problem(await shop.client.delete("/v1/runs/none"), 404, "no-run")


async def test_a_paused_segment_sets_nothing_off_and_begins_no_run(shop: Shop) -> None:
    await put(shop.client, buyers(TASK | {"on": {"event": "seen"}}))
    await send(shop.client, event("1", "ana"))
    await shop.client.post("/v1/segments/buyers/pause", headers=WAIT)
    is_problem(await shop.client.post("/v1/segments/buyers/actions/call/runs"), 409, "segment-paused")
    await send(shop.client, event("s1", "ana", "seen"))
    await shop.client.post("/v1/segments/buyers/resume", headers=WAIT)
    await send(shop.client, event("s2", "ana", "seen"))
    await shop.called("ana")
    assert shop.crm.said[0][3] == ["call:buyers:ana:event:seen:s2"]


async def test_unless_holds_a_call_back_by_what_was_received_before_it_was_asked(shop: Shop) -> None:
    await put(shop.client, RULE)
    await send(shop.client, event("c", "ana", "complaint"))
    await put(shop.client, buyers(TASK | {"unless": {"event": "complaint", "within": "7d"}}))
    await send(shop.client, event("1", "ana"), event("2", "bea"))
    await shop.called("bea")
    feed = await shop.feed("buyers", until_last="called")

    async def dropped() -> bool:
        calls = (await shop.get("/v1/segments/buyers/actions/call/calls"))["calls"]
        return any(each["customer_id"] == "ana" and each["outcome"] == "dropped" for each in calls)

    await until_true(dropped)
    assert {each["kind"] for each in feed} == {"called", "entered", "edited"}


async def test_what_unless_names_cannot_be_deleted(shop: Shop) -> None:
    await put(shop.client, {"id": "other", "enter": {"tag": "x"}})
    await put(shop.client, buyers(TASK | {"unless": {"segment": "other"}}))
    problem = is_problem(await shop.client.delete("/v1/segments/other"), 409, "segment-named")
    assert problem["named_by"] == ["buyers"]
    await put(shop.client, buyers(TASK))
    assert (await shop.client.delete("/v1/segments/other")).status_code == 204


async def test_what_evaluators_know_of_actions_is_seen_nowhere(shop: Shop) -> None:
    unless = {"event": "complaint", "within": "7d"}
    await put(shop.client, buyers(TASK | {"unless": unless}, TASK | {"id": "b", "on": {"event": "complaint"}}))
    await send(shop.client, event("1", "ana"), event("c", "ana", "complaint"))
    listed = (await shop.get("/v1/segments"))["segments"]
    assert [each["id"] for each in listed] == ["buyers"]
    assert (await shop.get("/v1/status"))["segments"] == 1
    for path in ("/v1/customers/ana", "/v1/customers/ana/segments", "/metrics"):
        assert "buyers/actions" not in (await shop.client.get(path)).text, path
    is_problem(await shop.client.get("/v1/segments/buyers%2Factions"), 404, "no-segment")


async def test_mistakes_in_calls_are_told_with_all_others(shop: Shop) -> None:
    wrong = buyers(
        TASK | {"with": {"wrong": 1}}, TASK | {"id": "b", "use": "crm.taks"}, TASK | {"id": "c", "use": "x.y"}
    )
    told = is_problem(await shop.client.put("/v1/segments/buyers", json=wrong), 422, "segment-invalid")
    assert [each["at"] for each in told["mistakes"]] == ["actions[0].with.wrong", "actions[1].use", "actions[2].use"]
    checked = (await shop.client.post("/v1/segments/validate", json=wrong)).json()
    assert checked["mistakes"] == told["mistakes"]


async def test_one_call_is_shown_and_sent_only_if_that_is_asked_for(shop: Shop) -> None:
    await put(shop.client, buyers(TASK | {"limit": {"per_customer": 1, "per": "1d"}, "unless": {"tag": "away"}}))
    away = {"id": "t", "type": "profile", "customer_id": "ana", "properties": {"tags_add": ["away"]}}
    await send(shop.client, away)
    path = "/v1/segments/buyers/actions/call/try"
    shown = (await shop.client.post(path, json={"customer_id": "ana"})).json()
    assert (shown["action"], shown["use"], shown["sent"], shown["wrong"]) == ("buyers/call", "crm.task", None, None)
    assert shown["held_back"] == "`unless` holds"
    assert [each["body"] for each in shown["requests"]] == [str(TASK["with"])]
    assert shop.crm.said == []
    sent = (await shop.client.post(path, json={"customer_id": "ana", "send": True})).json()
    assert sent["sent"]["outcome"] == "done"
    assert shop.crm.customers == ["ana"]
    document = buyers({"id": "new", "on": "exited", "use": "profile.tag", "with": {"tags": "{{ customer.id }}"}})
    tried = await shop.client.post(path.replace("call", "new"), json={"customer_id": "ana", "document": document})
    assert orjson.loads(tried.json()["requests"][0]["body"])["properties"] == {"tags_add": ["ana"]}
    document["actions"][0]["with"]["tags"] = "{{ customer.town }}"
    wrong = await shop.client.post(path.replace("call", "new"), json={"customer_id": "ana", "document": document})
    assert "town" in wrong.json()["wrong"]


@pytest.mark.parametrize(
    ("body", "status", "name"),
    [
        (b"{", 400, "unreadable"),
        (b"{}", 400, "invalid-parameter"),
        (b'{"customer_id":""}', 400, "invalid-parameter"),
        (b'{"customer_id":"ana","sned":true}', 400, "invalid-parameter"),
        (b'{"customer_id":"ana","document":{"id":"buyers","enter":{"tag":"x"}}}', 404, "no-action"),
        (b'{"customer_id":"ana","document":{"id":"buyers"}}', 422, "segment-invalid"),
    ],
)
async def test_what_cannot_be_tried_says_why(shop: Shop, body: bytes, status: int, name: str) -> None:
    await put(shop.client, buyers(TASK))
    is_problem(await shop.client.post("/v1/segments/buyers/actions/call/try", content=body), status, name)


async def test_a_long_feed_is_read_page_by_page_each_entry_once(shop: Shop) -> None:
    await put(shop.client, RULE)
    many = [event(str(n), f"c{n}") for n in range(1_500)]
    for begin in range(0, len(many), 500):
        await send(shop.client, *many[begin : begin + 500])
    seen: list[str] = []
    cursor: str | None = None
    while True:
        more = {"cursor": cursor} if cursor else {}
        page = await shop.get("/v1/segments/buyers/feed", limit=200, **more)
        seen += [each.get("id", "edit") for each in page["entries"]]
        if (cursor := page["cursor"]) is None:
            break
    assert seen[-1] == "edit"
    assert sorted(seen[:-1]) == sorted(f"buyers:c{n}:1" for n in range(1_500))
    is_problem(await shop.client.get("/v1/segments/buyers/feed?cursor=x"), 400, "invalid-parameter")
