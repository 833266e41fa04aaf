"""Health, status, metrics; and that neither they nor the logs tell anything about a person."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import httpx2
import orjson
import pytest

from service import logs
from service.metrics import Labels, Metrics
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
    assert (await client.get("/readyz")).json() == {"status": "ready"}


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
    units = ("_total", "_seconds", "_records", "_streams", "_profiles", "_created")
    assert {name for name in names if not name.endswith(units)} == set()


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
