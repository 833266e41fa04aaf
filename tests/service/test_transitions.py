"""The live feed: every transition once, in order, from any position, and no stream that holds the service up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import httpx2
import orjson
import pytest

from consumers.state.keys import PartitionKeys
from service.routes import transitions
from service.settings import Settings
from service.wiring import Services
from tests.service.conftest import opened, served
from tests.service.sending import BUYERS, WAIT, event, is_problem, put, send


class Told(NamedTuple):
    """One event of a stream."""

    id: str
    type: str
    data: dict[str, Any]

    @property
    def what(self) -> tuple[str, str]:
        return self.data["subject"], self.type


async def blocks(answer: httpx2.Response) -> AsyncIterator[str]:
    rest = ""
    async for text in answer.aiter_text():
        *whole, rest = (rest + text).split("\n\n")
        for block in whole:
            yield block


async def read(client: httpx2.AsyncClient, count: int, path: str = "", **headers: str) -> list[Told]:
    """The first `count` events of a stream; then it is left."""
    found: list[Told] = []
    async with client.stream("GET", f"/v1/transitions{path}", headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        if count == 0:
            return found
        async for block in blocks(answer):
            lines = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
            if "data" in lines:
                found.append(Told(lines["id"], lines["event"], orjson.loads(lines["data"])))
            if len(found) == count:
                break
    return found


async def bought(client: httpx2.AsyncClient, first: int, count: int) -> None:
    await send(client, *(event(f"e{n}", f"c{n}") for n in range(first, first + count)))


async def test_an_entry_comes_as_a_cloud_event_with_its_type_and_position(live: httpx2.AsyncClient) -> None:
    await put(live, BUYERS)
    reading = asyncio.create_task(read(live, 1))
    await asyncio.sleep(0.3)
    await send(live, event("e1", "ana"))
    [told] = await asyncio.wait_for(reading, 5)
    assert told.type == told.data["type"] == "segment.entered"
    assert told.data["specversion"] == "1.0"
    assert told.data["id"] == "buyers:ana:1"
    assert told.data["data"]["event_id"] == "e1"
    assert told.data["data"]["why"][0]["asked"] == {"gte": 1}


async def test_from_the_start_everything_kept_comes_and_a_resumed_stream_has_no_gap(live: httpx2.AsyncClient) -> None:
    await put(live, BUYERS)
    await bought(live, 0, 25)
    whole = await read(live, 25, "?from=start")
    assert sorted(told.data["subject"] for told in whole) == sorted(f"c{n}" for n in range(25))
    for cut in (0, 7, 23):
        rest = await read(live, 24 - cut, "", **{"Last-Event-ID": whole[cut].id})
        assert [told.data["id"] for told in rest] == [told.data["id"] for told in whole[cut + 1 :]]
    by_query = await read(live, 24, f"?from={whole[0].id}")
    assert by_query == whole[1:]


async def test_what_happened_while_a_reader_was_away_comes_when_it_is_back(live: httpx2.AsyncClient) -> None:
    await put(live, BUYERS)
    await bought(live, 0, 3)
    seen = await read(live, 3, "?from=start")
    await bought(live, 3, 4)
    rest = await read(live, 4, **{"Last-Event-ID": seen[-1].id})
    assert sorted(told.data["subject"] for told in rest) == ["c3", "c4", "c5", "c6"]


async def test_a_member_list_and_the_feed_from_its_position_make_one_whole(live: httpx2.AsyncClient) -> None:
    await put(live, BUYERS)
    await bought(live, 0, 5)
    page = (await live.get("/v1/segments/buyers/members")).json()
    await bought(live, 5, 2)
    rest = await read(live, 2, f"?from={page['position']}")
    everybody = {member["customer_id"] for member in page["members"]} | {told.data["subject"] for told in rest}
    assert everybody == {f"c{n}" for n in range(7)}


async def test_a_filtered_stream_tells_only_what_was_asked_and_resumes_past_the_rest(live: httpx2.AsyncClient) -> None:
    await put(live, BUYERS)
    await put(live, {"id": "viewers", "enter": {"event": "page_view"}})
    await send(live, event("1", "ana"), event("2", "ana", "page_view"), event("3", "bea", "page_view"))
    viewers = await read(live, 2, "?from=start&segment=viewers")
    assert sorted(told.what for told in viewers) == [("ana", "segment.entered"), ("bea", "segment.entered")]
    ana = await read(live, 2, "?from=start&customer=ana")
    assert {told.data["data"]["segment"] for told in ana} == {"buyers", "viewers"}


async def test_positions_move_on_even_when_nothing_of_the_readers_comes_by(live: httpx2.AsyncClient) -> None:
    await put(live, BUYERS)
    await bought(live, 0, 3)
    async with live.stream("GET", "/v1/transitions?from=start&customer=nobody") as answer:
        async for block in blocks(answer):
            ids = [line[4:] for line in block.split("\n") if line.startswith("id: ")]
            if ids:
                break
    await bought(live, 3, 1)
    rest = await read(live, 1, **{"Last-Event-ID": ids[0]})
    assert rest[0].data["subject"] == "c3"


async def test_an_exit_by_the_clock_is_seen_at_its_exact_time(live: httpx2.AsyncClient) -> None:
    await put(live, BUYERS | {"enter": {"event": "purchase", "within": "1s"}})
    reading = asyncio.create_task(read(live, 2, "?from=start"))
    await send(live, event("e1", "ana"))
    entered, exited = await asyncio.wait_for(reading, 10)
    assert exited.type == "segment.exited"
    assert exited.data["data"]["cause"] == "clock"
    assert exited.data["time"] == entered.data["data"]["leaves_at"]


@pytest.mark.parametrize("position", ["x", "1.1", "1.1-1.1-1.1-1.1", "", "-", "zz.1-1.1"])
async def test_what_is_no_position_is_400(client: httpx2.AsyncClient, position: str) -> None:
    is_problem(await client.get("/v1/transitions", params={"from": position or "?"}), 400, "invalid-parameter")
    if position:
        answer = await client.get("/v1/transitions", headers={"Last-Event-ID": position})
        is_problem(answer, 400, "invalid-parameter")


async def test_several_segments_and_customers_and_a_kind_can_be_asked_for(live: httpx2.AsyncClient) -> None:
    await put(live, BUYERS)
    await put(live, {"id": "viewers", "enter": {"event": "page_view"}})
    await put(live, {"id": "carts", "enter": {"event": "cart"}})
    await send(live, *(event(f"{who}{what}", who, what) for who in ("ana", "bea") for what in ("page_view", "cart")))
    await send(live, event("p", "ana"))
    await live.put("/v1/segments/carts/members/ana", headers=WAIT)
    await live.delete("/v1/segments/carts/members/ana", headers=WAIT)
    both = await read(live, 3, "?from=start&segment=viewers&segment=buyers")
    assert {(told.data["subject"], told.data["data"]["segment"]) for told in both} == {
        ("ana", "viewers"),
        ("bea", "viewers"),
        ("ana", "buyers"),
    }
    [left] = await read(live, 1, "?from=start&kind=exited")
    assert left.what == ("ana", "segment.exited")
    ours = await read(live, 6, "?from=start&customer=ana&customer=bea")
    assert {told.data["subject"] for told in ours} == {"ana", "bea"}
    is_problem(await live.get("/v1/transitions?kind=left"), 400, "invalid-parameter")


# -- pages ------------------------------------------------------------------------------------------------------------


async def page(client: httpx2.AsyncClient, **query: Any) -> dict[str, Any]:
    answer = await client.get("/v1/transitions", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("limit", [1, 3, 7, 8, 1000])
async def test_pages_of_any_size_give_what_the_stream_gives(live: httpx2.AsyncClient, limit: int) -> None:
    await put(live, BUYERS)
    await bought(live, 0, 8)
    whole = await read(live, 8, "?from=start")
    found: list[dict[str, Any]] = []
    after, more = "start", True
    while more:
        answer = await page(live, after=after, limit=limit)
        assert len(answer["transitions"]) <= limit
        found += answer["transitions"]
        after, more = answer["after"], answer["more"]
    assert sorted(told["id"] for told in found) == sorted(told.data["id"] for told in whole)
    assert (await page(live, after=after)) == {"transitions": [], "after": after, "more": False}
    await bought(live, 8, 1)
    assert [told["subject"] for told in (await page(live, after=after))["transitions"]] == ["c8"]


async def test_a_page_of_what_is_asked_for_says_where_it_ended(live: httpx2.AsyncClient) -> None:
    await put(live, BUYERS)
    await bought(live, 0, 9)
    first = await page(live, after="start", limit=1, customer=["c3", "c7"])
    assert len(first["transitions"]) == 1
    assert first["more"] is True
    rest = await page(live, after=first["after"], limit=1, customer=["c3", "c7"])
    assert {told["subject"] for told in first["transitions"] + rest["transitions"]} == {"c3", "c7"}
    assert (await page(live, after="now", limit=5))["transitions"] == []
    assert len((await page(live, limit=4))["transitions"]) == 4


async def test_a_page_looks_at_so_many_transitions_and_no_more(
    live: httpx2.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transitions, "_LOOKED_AT_MAX", 4)
    monkeypatch.setattr(services, "settings", services.settings.model_copy(update={"feed_batch": 2}))
    await put(live, BUYERS)
    await bought(live, 0, 9)
    rounds, after, more = 0, "start", True
    while more:
        answer = await page(live, after=after, customer="nobody")
        assert answer["transitions"] == []
        rounds, after, more = rounds + 1, answer["after"], answer["more"]
    assert rounds >= 2
    await bought(live, 9, 1)
    assert [told["subject"] for told in (await page(live, after=after))["transitions"]] == ["c9"]


async def test_an_empty_page_can_be_held_until_there_is_something(live: httpx2.AsyncClient) -> None:
    await put(live, BUYERS)
    asked = {"after": "now", "customer": "bea"}
    waiting = asyncio.create_task(live.get("/v1/transitions", params=asked, headers={"Prefer": "wait=30"}))
    await asyncio.sleep(0.3)
    await send(live, event("1", "ana"))
    await send(live, event("2", "bea"))
    answer = await asyncio.wait_for(waiting, 20)
    assert [told["subject"] for told in answer.json()["transitions"]] == ["bea"]
    assert answer.headers["preference-applied"] == "wait"
    answer = await live.get("/v1/transitions", params=asked, headers={"Prefer": "wait=0"})
    assert answer.json()["transitions"] == []
    assert "preference-applied" not in answer.headers


async def test_who_asks_for_a_stream_gets_one_whatever_else_is_asked(live: httpx2.AsyncClient) -> None:
    await put(live, BUYERS)
    await bought(live, 0, 2)
    found = await read(live, 2, "?after=start&limit=1", Accept="text/event-stream")
    assert len(found) == 2


@pytest.mark.parametrize(
    "query", ["after=x", "limit=0", "limit=1001", "limit=x", "after=now&from=start", "limit=1&from=1.1-1.1-1.1"]
)
async def test_a_page_that_cannot_be_meant_is_400(client: httpx2.AsyncClient, query: str) -> None:
    is_problem(await client.get(f"/v1/transitions?{query}"), 400, "invalid-parameter")


async def test_a_page_after_what_was_trimmed_is_410(live: httpx2.AsyncClient, services: Services) -> None:
    await put(live, BUYERS)
    start = (await page(live, after="now"))["after"]
    for number in range(8):
        await bought(live, number, 1)
    for partition in range(2):
        keys = PartitionKeys(partition)
        await services.store.call("XTRIM", keys.out, "MAXLEN", 1)
    is_problem(await live.get("/v1/transitions", params={"after": start}), 410, "position-lost")


async def test_an_idle_stream_is_kept_open_by_comments(settings: Settings) -> None:
    quick = settings.model_copy(update={"feed_heartbeat_seconds": 0.1})
    async with (
        opened(quick) as services,
        served(services) as server,
        httpx2.AsyncClient(base_url=server.url) as client,
        client.stream("GET", "/v1/transitions") as answer,
    ):
        count = 0
        async for block in blocks(answer):
            count += block.startswith(": on")
            if count == 4:
                break


async def test_only_so_many_streams_may_be_open(settings: Settings) -> None:
    async with (
        opened(settings.model_copy(update={"feed_clients_max": 1})) as services,
        served(services) as server,
        httpx2.AsyncClient(base_url=server.url) as client,
    ):
        async with client.stream("GET", "/v1/transitions") as first:
            await anext(blocks(first))
            refused = await client.get("/v1/transitions")
            is_problem(refused, 503, "unavailable")
            assert refused.headers["retry-after"]
        for _ in range(100):
            if services.streams == 0:
                break
            await asyncio.sleep(0.02)
        await read(client, 0)


async def test_open_streams_end_when_the_service_does(services: Services) -> None:
    async with served(services) as server, httpx2.AsyncClient(base_url=server.url) as client:
        async with client.stream("GET", "/v1/transitions") as answer:
            coming = blocks(answer)
            await anext(coming)
            server.stop()
            async with asyncio.timeout(5):
                rest = [block async for block in coming]
        assert not [block for block in rest if "data" in block]
