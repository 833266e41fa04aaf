"""Health, status, metrics; and that neither they nor the logs tell anything about a person."""

from __future__ import annotations

import asyncio
import io
import logging
import time
from collections.abc import Iterator

import httpx2
import msgspec
import orjson
import pytest

from consumers.state.keys import PartitionKeys
from consumers.state.reads import PartitionStatus
from rules.errors import Unavailable
from rules.times import format_instant
from service import logs
from service.auth import parse_tokens
from service.metrics import Labels, Metrics
from service.ops_app import create_ops_app
from service.readiness import warnings_about
from service.settings import Settings
from service.wiring import Services
from tests.service.conftest import client_of, opened
from tests.service.sending import BUYERS, event, is_problem, members, put, send

PERSON = "maria.silva@example.com"


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What is logged, as JSON lines."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure("debug", "json", stream)
    yield stream
    root.handlers[:], root.level = handlers, level


def value(text: str, name: str, **labels: str) -> float:
    """The value of a sample in Prometheus's text; 0 where it is not there."""
    for line in text.splitlines():
        head, _, number = line.rpartition(" ")
        if head.partition("{")[0] == name and all(f'{key}="{text}"' in head for key, text in labels.items()):
            return float(number)
    return 0.0


async def test_a_working_service_is_alive_and_ready(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    await put(client, BUYERS)
    assert (await client.get("/readyz")).json() == {"status": "ready", "warnings": []}


async def test_readiness_tells_every_reason(settings: Settings) -> None:
    async with opened(settings) as services, client_of(services) as client:
        await put(client, BUYERS)
        assert services.evaluator is not None
        await services.evaluator.stop()
        problem = is_problem(await client.get("/readyz"), 503, "unavailable")
        assert problem["reasons"] == ["the evaluator of this process has ended"]
        services.closing.set()
        assert is_problem(await client.get("/readyz"), 503, "unavailable")["reasons"] == ["the service is stopping"]
        services.closing.clear()


async def test_status_tells_how_far_every_partition_is(client: httpx2.AsyncClient) -> None:
    await put(client, BUYERS)
    await send(client, *(event(str(n), f"c{n}") for n in range(10)))
    found = (await client.get("/v1/status")).json()
    assert found["ready"] is True
    assert (found["segments"], found["customers"], found["lag_records"]) == (1, 10, 0)
    assert [each["partition"] for each in found["partitions"]] == [0, 1]
    assert all(each["owner"] and each["clock"] and each["lag_records"] == 0 for each in found["partitions"])
    assert sum(each["timers"] for each in found["partitions"]) == 10
    assert all(isinstance(each["position"], str) for each in found["partitions"])


async def test_without_an_evaluator_the_lag_is_told(settings: Settings) -> None:
    async with opened(settings, evaluate=False) as services, client_of(services) as client:
        await client.post("/v1/events", json=[event(str(n), f"c{n}") for n in range(10)])
        found = (await client.get("/v1/status")).json()
        assert found["lag_records"] == 10
        assert [each["owner"] for each in found["partitions"]] == [None, None]


async def test_an_api_stays_ready_for_reads_and_warns_of_partitions_without_an_owner(settings: Settings) -> None:
    async with opened(settings, evaluate=False) as services, client_of(services) as client:
        warning = "no evaluator owns partitions 0, 1"
        assert (await client.get("/readyz")).json() == {"status": "ready", "warnings": [warning]}
        status = (await client.get("/v1/status")).json()
        assert (status["ready"], status["reasons"], status["warnings"]) == (True, [], [warning])


async def test_while_the_log_is_away_an_api_is_ready_for_reads_and_tells_what_it_cannot_know(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise Unavailable("no broker")

    async with opened(settings, evaluate=False) as services, client_of(services) as client:
        monkeypatch.setattr(services.log, "lags", away)
        assert (await client.get("/readyz")).json()["warnings"][0].startswith("the log is away")
        status = (await client.get("/v1/status")).json()
        assert status["ready"] is True
        assert [status[name] for name in ("lag_records", "clock_lag_ms", "relay_lag")] == [None] * 3
        assert {each["log_end"] for each in status["partitions"]} == {None}


async def test_a_log_that_does_not_answer_holds_readiness_up_for_two_seconds_at_most(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(*_: object) -> None:
        await asyncio.Event().wait()

    async with opened(settings, evaluate=False) as services:
        monkeypatch.setattr(services.log, "lags", silent)
        found = await asyncio.wait_for(services.readiness(), 10)
        assert found.reasons == []
        assert found.warnings[0].startswith("the log is away")


async def test_without_the_store_nothing_is_ready(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> None:
        raise Unavailable("no store")

    async with opened(settings, evaluate=False) as services, client_of(services) as client:
        monkeypatch.setattr(services.reads, "status", away)
        assert is_problem(await client.get("/readyz"), 503, "unavailable")["reasons"] == ["the store is away"]
        is_problem(await client.get("/v1/status"), 503, "unavailable")
        assert value((await client.get("/metrics")).text, "segmentd_ready") == 0


async def test_status_tells_trouble_silence_recovery_and_what_is_not_published(settings: Settings) -> None:
    """As the owner of each partition notes it."""
    async with opened(settings, evaluate=False) as services, client_of(services) as client:
        now_ms = time.time_ns() // 1_000_000
        stopped = "partition 0: position 7 is outside the log"
        await services.store.call("HSET", PartitionKeys(0).meta, "owner", "a", "seen", now_ms, "trouble", stopped)
        await services.store.call("HSET", PartitionKeys(0).meta, "numbered", 50, "relays", "r", "relayed", "3 1 9 42")
        await services.store.call("HSET", PartitionKeys(1).meta, "owner", "b", "seen", now_ms - 60_000, "lost_to", 5)
        found = (await client.get("/v1/status")).json()
        metrics = (await client.get("/metrics")).text
        assert value(metrics, "segmentd_ready") == 1
        assert value(metrics, "segmentd_warnings") == 2
        assert value(metrics, "segmentd_partitions_without_owner") == 1
        silent = "the owner of partition 1 has not been heard of for 30 s and more"
        assert found["warnings"] == [silent, stopped]
        names = ("owner", "trouble", "recovering", "relay_lag")
        assert [each[name] for each in found["partitions"] for name in names] == [
            *("a", stopped, False, 8),
            *("b", None, True, None),
        ]
        assert found["relay_lag"] is None
        assert found["partitions"][0]["owner_seen"] == format_instant(now_ms)


async def test_status_tells_what_of_the_log_was_passed_over(settings: Settings) -> None:
    async with opened(settings, evaluate=False) as services, client_of(services) as client:
        await services.store.call("HSET", PartitionKeys(1).meta, "gaps", "-1-41@1795424400000 60-99@1795424460123")
        first, second, *_ = (await client.get("/v1/status")).json()["partitions"]
        assert first["gaps"] == []
        assert second["gaps"] == [
            {"after": "-1", "to": "41", "accepted": "2026-11-23T09:00:00Z"},
            {"after": "60", "to": "99", "accepted": "2026-11-23T09:01:00.123Z"},
        ]


def test_many_partitions_are_not_all_named() -> None:
    nobodys = [status_of(partition) for partition in range(20)]
    assert warnings_about(nobodys, 0) == ["no evaluator owns partitions 0, 1, 2, 3, 4, 5, 6, 7 and 12 more"]


def status_of(partition: int) -> PartitionStatus:
    fields = {field.name: 0 for field in msgspec.structs.fields(PartitionStatus)}
    return PartitionStatus(**{**fields, "partition": partition, "owner": "", "trouble": "", "gaps": ()})  # type: ignore[arg-type]


async def test_a_role_without_an_api_answers_its_operators_by_the_same_tokens(settings: Settings) -> None:
    token = "read-0123456789ab"
    guarded = settings.model_copy(update={"tokens": parse_tokens(f"{token}:read")})
    async with opened(guarded) as services:
        transport = httpx2.ASGITransport(app=create_ops_app(services))
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            assert (await client.get("/healthz")).json() == {"status": "ok"}
            assert "warnings" in (await client.get("/readyz")).json()
            for path in ("/metrics", "/v1/status"):
                is_problem(await client.get(path), 401, "unauthorized")
                answer = await client.get(path, headers={"Authorization": f"Bearer {token}"})
                assert answer.status_code == 200
            for path in ("/v1/segments", "/v1/dead-letters", "/openapi.json", "/"):
                is_problem(await client.get(path, headers={"Authorization": f"Bearer {token}"}), 404, "not-found")


async def test_metrics_count_events_transitions_and_rejections(client: httpx2.AsyncClient) -> None:
    await put(client, BUYERS)
    await send(client, event("1", "ana"), event("1", "ana"), event("2", "bea", "page_view"))
    await client.post("/v1/events", json=[{}, event("", "cid"), event("3", "cid", "Not a type"), []])
    text = (await client.get("/metrics")).text
    assert value(text, "segmentd_events_accepted_total") == 3
    assert value(text, "segmentd_events_total", type="purchase", outcome="applied") >= 1
    assert value(text, "segmentd_events_total", outcome="duplicate") == 1
    assert value(text, "segmentd_transitions_total", segment="buyers", kind="entered") == 1
    assert value(text, "segmentd_events_rejected_total", reason="type") == 2
    assert value(text, "segmentd_events_rejected_total", reason="id") == 1
    assert value(text, "segmentd_events_rejected_total", reason="event") == 1
    assert value(text, "segmentd_batch_records_sum") >= 3
    for step in ("load", "step", "commit", "publish"):
        assert value(text, "segmentd_step_seconds_count", step=step) >= 1
    assert value(text, "segmentd_http_requests_total", route="/v1/events", status="422") == 1


def test_metrics_name_their_units() -> None:
    metrics = Metrics()
    metrics.evaluator.clock_lag(3, 1.5)
    metrics.evaluator.due_lag(3, 0.25)
    text = metrics.text().decode()
    assert value(text, "segmentd_clock_lag_seconds", partition="3") == 1.5
    assert value(text, "segmentd_due_timer_lag_seconds", partition="3") == 0.25
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    units = (
        "_total",
        "_seconds",
        "_records",
        "_streams",
        "_profiles",
        "_transitions",
        "_warnings",
        "_items",
        "_targets",
        "_partitions",
        "_owner",
        "_created",
    )
    states = {"segmentd_ready", "segmentd_partition_owned", "segmentd_partition_stopped"}  # 0 or 1
    assert {name for name in names if not name.endswith(units)} == states


async def test_event_types_are_the_senders_so_only_so_many_get_a_label(settings: Settings) -> None:
    async with (
        opened(settings.model_copy(update={"metrics_event_types_max": 2})) as services,
        client_of(services) as client,
    ):
        await send(client, *(event(str(n), "ana", f"type_{n}") for n in range(5)))
        text = (await client.get("/metrics")).text
        assert value(text, "segmentd_events_total", type="other", outcome="applied") == 3
    assert Labels(1)("a") == "a"


async def test_neither_logs_nor_metrics_tell_about_a_person(
    written: io.StringIO, settings: Settings, services: Services
) -> None:
    async with client_of(services, Authorization="Bearer my-secret-token-0123") as client:
        await put(client, BUYERS)
        await send(client, event("order-77", PERSON, note="allergic to nuts"))
        assert await members(client, "buyers") == [PERSON]
        for path in ("", "/segments", "/segments/buyers?explain=true&note=allergic", "/nothing"):
            await client.get(f"/v1/customers/{PERSON}{path}")
        await client.get(f"/{PERSON}?q=allergic")
        await client.put(f"/v1/segments/buyers/members/{PERSON}")
        await client.post("/v1/membership/check", json={"customers": [PERSON]})
        await client.post("/v1/events", json=event("order-78", PERSON, "Allergic!"))
        told = written.getvalue() + (await client.get("/metrics")).text
    assert "/v1/customers/{customer}" in told
    for private in (PERSON, "maria", "allergic", "Allergic", "order-7", "secret-token"):
        assert private not in told


async def test_an_access_is_one_json_line_with_the_route(written: io.StringIO, client: httpx2.AsyncClient) -> None:
    await client.get("/v1/segments?limit=5")
    lines = [orjson.loads(line) for line in written.getvalue().splitlines()]
    [line] = [line for line in lines if line["event"] == "request"]
    assert (line["method"], line["route"], line["status"], line["level"]) == ("GET", "/v1/segments", 200, "info")
    assert line["ms"] >= 0


def test_exceptions_are_logged_by_type_and_place_without_their_text(written: io.StringIO) -> None:
    try:
        try:
            raise KeyError(PERSON)
        except KeyError as error:
            raise ValueError(f"about {PERSON}") from error
    except ValueError:
        logs.get("x").exception("it broke", customer_id=PERSON)
        logging.getLogger("lib").exception("a library broke")
    lines = [orjson.loads(line) for line in written.getvalue().splitlines()]
    assert [line["exception"] for line in lines] == ["ValueError from KeyError"] * 2
    assert "test_exceptions_are_logged" in lines[0]["places"][-1]
    assert PERSON not in written.getvalue()
