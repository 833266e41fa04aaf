"""A process without an API of its own: what it answers beside its work, and how it ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import httpx2
import pytest

from service.auth import parse_tokens
from service.cli.running import CannotStart, Signals, ops_settings, serve_ops
from service.metrics import Metrics
from service.readiness import Readiness
from service.settings import Settings
from tests.service.sending import is_problem

TOKEN = "read-0123456789ab"


@dataclass
class Working:
    """A process that only works; `reasons` is what it says when asked whether it can."""

    settings: Settings
    metrics: Metrics = field(default_factory=Metrics)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    reasons: list[str] = field(default_factory=list)

    async def readiness(self) -> Readiness:
        return Readiness(self.reasons)


@pytest.fixture
def process() -> Working:
    return Working(Settings(http_port=0, shutdown_seconds=1, tokens=parse_tokens(f"{TOKEN}:read")))


async def test_it_tells_its_operators_how_it_is_while_it_works(process: Working) -> None:
    async def work(url: str) -> None:
        async with httpx2.AsyncClient(base_url=url) as client:
            assert (await client.get("/healthz")).json() == {"status": "ok"}
            assert (await client.get("/readyz")).json() == {"status": "ready", "warnings": []}
            process.reasons.append("the sources are away")
            assert is_problem(await client.get("/readyz"), 503, "unavailable")["reasons"] == ["the sources are away"]
            is_problem(await client.get("/metrics"), 401, "unauthorized")
            metrics = await client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
            assert "segmentd_ready 0.0" in metrics.text
            is_problem(await client.get("/v1/status", headers={"Authorization": f"Bearer {TOKEN}"}), 404, "not-found")
        process.closing.set()

    assert await serve_ops(process, Signals(), work)


async def test_work_that_ends_unasked_is_a_failure(process: Working) -> None:
    async def work(_url: str) -> None:
        return

    assert not await serve_ops(process, Signals(), work)


async def test_what_work_dies_of_is_raised(process: Working) -> None:
    async def work(_url: str) -> None:
        raise CannotStart("the sources file is wrong")

    with pytest.raises(CannotStart, match="the sources file is wrong"):
        await serve_ops(process, Signals(), work)


async def test_work_ends_by_itself_when_the_process_closes_and_nothing_is_cut_off(process: Working) -> None:
    done: list[str] = []

    async def work(_url: str) -> None:
        asyncio.get_running_loop().call_soon(process.closing.set)
        await process.closing.wait()
        await asyncio.sleep(0.05)
        done.append("what was in hand")

    assert await serve_ops(process, Signals(), work)
    assert done == ["what was in hand"]


async def test_work_that_does_not_end_is_cancelled_after_its_time(process: Working) -> None:
    cancelled: list[bool] = []

    async def work(_url: str) -> None:
        process.closing.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    assert await asyncio.wait_for(serve_ops(process, Signals(), work), 20)
    assert cancelled == [True]


async def test_a_signal_before_it_starts_ends_it(process: Working) -> None:
    signals = Signals()
    signals.asked = True

    async def work(_url: str) -> None:
        raise AssertionError("it was to end")

    assert await serve_ops(process, signals, work)


def test_without_a_port_of_its_own_it_takes_a_free_one_and_without_tokens_only_loopback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SEGMENTD_HTTP_PORT", raising=False)
    assert ops_settings(host=None, port=None).http_port == 0
    assert ops_settings(host=None, port=8080).http_port == 8080
    monkeypatch.setenv("SEGMENTD_HTTP_PORT", "9000")
    assert ops_settings(host=None, port=None).http_port == 9000
    with pytest.raises(CannotStart, match="set SEGMENTD_TOKENS"):
        ops_settings(host="0.0.0.0", port=None)
