"""Events over HTTP: every shape they may come in, every way of being wrong, and what an answer promises."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest
from pydantic import SecretStr

from consumers.embedded import Embedded
from consumers.log.port import START
from service.settings import Settings
from service.wiring import Services
from tests.service.conftest import PARTITIONS, client_of, opened
from tests.service.sending import BUYERS, WAIT, event, is_problem, members, put, send

ANA = event("e-1", "ana", amount=12.5)
LINES = b'{"id":"1","type":"purchase","customer_id":"ana"}\n\n{"id":"2","type":"purchase","customer_id":"bea"}\n'


async def in_the_log(services: Services) -> list[dict[str, Any]]:
    records = await services.log.read(dict.fromkeys(range(PARTITIONS), START), 1000, 0)
    found = [orjson.loads(record.payload) for record in records]
    return [each for each in found if each["type"] not in ("tick", "definition")]


@pytest.mark.parametrize(
    ("content", "media", "count"),
    [
        (orjson.dumps(ANA), "application/json", 1),
        (orjson.dumps([ANA, event("e-2", "bea")]), "application/json", 2),
        (LINES, "application/x-ndjson", 2),
        (LINES, "text/plain", 2),
        (orjson.dumps(ANA), "", 1),
        (orjson.dumps(ANA), "application/x-ndjson", 1),
        (b"\xef\xbb\xbf" + orjson.dumps(ANA), "application/json; charset=utf-8", 1),
    ],
)
async def test_one_object_an_array_and_lines_are_taken(
    client: httpx2.AsyncClient, content: bytes, media: str, count: int
) -> None:
    answer = await client.post("/v1/events", content=content, headers={"Content-Type": media} if media else {})
    assert answer.status_code == 202
    assert answer.json() == {"accepted": count, "rejected": []}


async def test_gzip_is_unpacked(client: httpx2.AsyncClient) -> None:
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/x-ndjson"}
    answer = await client.post("/v1/events", content=gzip.compress(LINES), headers=headers)
    assert answer.json() == {"accepted": 2, "rejected": []}


async def test_the_log_holds_compact_native_json_with_the_time_of_receipt(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await client.post("/v1/events", json=[ANA, event("e-2", "bea") | {"ts": "2026-01-01T01:00:00.5+01:00"}])
    found = {each["id"]: each for each in await in_the_log(services)}
    assert list(found["e-1"]) == ["id", "type", "customer_id", "ts", "properties"]
    assert found["e-1"]["ts"].endswith("Z")
    assert found["e-2"]["ts"] == "2026-01-01T00:00:00.500Z"


async def test_bad_events_are_told_with_their_place_and_do_not_keep_the_good_ones_out(
    client: httpx2.AsyncClient, services: Services
) -> None:
    answer = await client.post("/v1/events", json=[{"id": "x"}, ANA, ANA | {"ts": "yesterday"}])
    assert answer.status_code == 202
    assert answer.json()["accepted"] == 1
    assert [each["index"] for each in answer.json()["rejected"]] == [0, 2]
    assert answer.json()["rejected"][0]["error"] == "type: is missing"
    assert answer.json()["rejected"][1]["error"].startswith("ts: `yesterday` is no RFC 3339 instant")
    assert [each["id"] for each in await in_the_log(services)] == ["e-1"]


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"id": None}, "id: is missing"),
        ({"id": 7}, "id: must be text"),
        ({"id": "x" * 129}, "id: has 129 characters"),
        ({"customer_id": ""}, "customer_id: is empty"),
        ({"type": "Purchase"}, "type: `Purchase` is no event type"),
        ({"type": "tick"}, "type: `tick` is the service's own"),
        ({"type": "definition"}, "type: `definition` is the service's own"),
        ({"ts": "2126-01-01T00:00:00Z"}, "ts: `2126-01-01T00:00:00Z` is"),
        ({"ts": "1999-01-01T00:00:00Z"}, "ts: `1999-01-01T00:00:00Z` is older"),
        ({"properties": []}, "properties: must be an object"),
        ({"properties": {"text": "x" * 300_000}}, "has 300"),
        ({"type": "profile", "properties": {"sett": {}}}, "properties.sett: is nothing"),
        ({"type": "membership", "properties": {"segment": "vip"}}, "properties.action: is missing"),
    ],
)
async def test_when_every_event_is_bad_the_answer_is_422(
    client: httpx2.AsyncClient, services: Services, wrong: dict[str, Any], error: str
) -> None:
    answer = await client.post("/v1/events", json=ANA | wrong)
    problem = is_problem(answer, 422, "events-rejected")
    assert problem["accepted"] == 0
    [rejected] = problem["rejected"]
    assert rejected["index"] == 0
    assert rejected["error"].startswith(error)
    assert await in_the_log(services) == []


async def test_nan_in_one_event_of_an_array_is_that_events_mistake(client: httpx2.AsyncClient) -> None:
    bad = b'{"id":"2","type":"purchase","customer_id":"ana","properties":{"amount":NaN}}'
    answer = await client.post("/v1/events", content=b"[" + orjson.dumps(ANA) + b"," + bad + b"]")
    assert answer.json()["accepted"] == 1
    assert answer.json()["rejected"][0]["index"] == 1
    assert answer.json()["rejected"][0]["error"].startswith("properties.amount: NaN")


@pytest.mark.parametrize("content", [b"", b"  ", b"hello", b"[1, 2", b'"text"', b"\xff\xfe", b"null"])
async def test_a_body_that_is_nothing_of_all_that_is_400(client: httpx2.AsyncClient, content: bytes) -> None:
    is_problem(await client.post("/v1/events", content=content), 400, "unreadable")


@pytest.mark.parametrize("content", [b"[]", b"\n[\n]\n"])
async def test_an_array_without_events_is_422(client: httpx2.AsyncClient, content: bytes) -> None:
    is_problem(await client.post("/v1/events", content=content), 422, "events-rejected")


async def test_limits_are_stated_in_the_error(settings: Settings) -> None:
    small = {"body_bytes_max": 1024, "body_unpacked_bytes_max": 2048, "events_per_request_max": 3}
    async with opened(settings.model_copy(update=small)) as services, client_of(services) as client:
        problem = is_problem(await client.post("/v1/events", content=b" " * 1025), 413, "too-large")
        assert problem["limit_bytes"] == 1024
        packed = gzip.compress(b" " * 1_000_000)[:1024]
        answer = await client.post("/v1/events", content=packed, headers={"Content-Encoding": "gzip"})
        assert is_problem(answer, 413, "too-large")["limit_bytes"] == 2048
        problem = is_problem(await client.post("/v1/events", json=[ANA] * 4), 413, "too-large")
        assert problem["limit_events"] == 3


async def test_a_body_without_a_declared_length_is_bounded_too(settings: Settings) -> None:
    async def chunks() -> Any:
        for _ in range(100):
            yield b" " * 100

    small = settings.model_copy(update={"body_bytes_max": 1024})
    async with opened(small, evaluate=False) as services, client_of(services) as client:
        is_problem(await client.post("/v1/events", content=chunks()), 413, "too-large")


@pytest.mark.parametrize(
    ("content", "encoding", "status", "name"),
    [
        (b"not gzip", "gzip", 400, "unreadable"),
        (gzip.compress(LINES)[:-9], "gzip", 400, "unreadable"),
        (LINES, "br", 415, "unsupported-media"),
    ],
)
async def test_a_wrong_encoding_is_told(
    client: httpx2.AsyncClient, content: bytes, encoding: str, status: int, name: str
) -> None:
    answer = await client.post("/v1/events", content=content, headers={"Content-Encoding": encoding})
    is_problem(answer, status, name)


async def test_wait_holds_the_answer_until_the_evaluators_applied_the_events(client: httpx2.AsyncClient) -> None:
    await put(client, BUYERS)
    answer = await client.post("/v1/events", json=ANA, headers=WAIT)
    assert answer.json() == {"accepted": 1, "rejected": [], "applied": True}
    assert answer.headers["preference-applied"] == "wait"
    assert await members(client, "buyers") == ["ana"]


async def test_when_waiting_takes_too_long_the_events_are_accepted_all_the_same(settings: Settings) -> None:
    async with opened(settings, evaluate=False) as services, client_of(services) as client:
        answer = await client.post("/v1/events", json=ANA, headers={"Prefer": "respond-async, wait=0"})
        assert answer.status_code == 202
        assert answer.json() == {"accepted": 1, "rejected": [], "applied": False}
        assert "preference-applied" not in answer.headers


async def test_the_same_event_again_counts_once(client: httpx2.AsyncClient) -> None:
    await put(client, {"id": "twice", "enter": {"event": "purchase", "count": {"gte": 2}}})
    await send(client, ANA, ANA)
    await send(client, ANA)
    assert await members(client, "twice") == []
    await send(client, ANA | {"id": "e-2"})
    assert await members(client, "twice") == ["ana"]


async def test_when_the_log_is_away_the_sender_is_told_to_wait(settings: Settings, tmp_path: Path) -> None:
    with Embedded(tmp_path) as server:
        mine = settings.model_copy(update={"redis_url": SecretStr(server.url)})
        async with opened(mine, evaluate=False) as services, client_of(services) as client:
            server.stop()
            answer = await client.post("/v1/events", json=ANA)
            is_problem(answer, 503, "unavailable")
            assert int(answer.headers["retry-after"]) == settings.retry_after_seconds
            assert "sock" not in answer.text
            is_problem(await client.get("/v1/segments"), 503, "unavailable")
            is_problem(await client.get("/v1/transitions"), 503, "unavailable")
            assert is_problem(await client.get("/readyz"), 503, "unavailable")["reasons"] == ["the store is away"]
            assert (await client.get("/healthz")).status_code == 200
