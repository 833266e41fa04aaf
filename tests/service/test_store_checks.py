"""The service and a server of somebody else's: refused with every reason, warned of, or used."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from rules.errors import Unavailable
from service.settings import Settings
from service.wiring import NotConfigurable, open_services
from tests.consumers.state.servers import DURABLE, Process


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[Process]:
    process = Process(tmp_path / "data", *DURABLE)
    await process.start()
    yield process
    process.kill()


def settings(url: str) -> Settings:
    return Settings(redis_url=SecretStr(url), partitions=1)


async def test_a_server_that_forgets_and_throws_away_is_refused_with_both_reasons(process: Process) -> None:
    await process.ask("CONFIG", "SET", "appendonly", "no", "maxmemory", "100mb", "maxmemory-policy", "allkeys-lru")
    with pytest.raises(NotConfigurable, match=r"(?s)not fit for use:.*appendonly yes.*noeviction"):
        await open_services(settings(process.url), evaluate=False)


async def test_what_could_be_better_is_logged_and_the_service_starts(process: Process) -> None:
    with capture_logs() as lines:
        services = await open_services(settings(process.url), evaluate=False)
        await services.close()
    assert [line["why"].partition(" has ")[2] for line in lines if line["log_level"] == "warning"] != []
    assert any("no maxmemory" in line.get("why", "") for line in lines)


@pytest.mark.parametrize(
    ("url", "mistake"), [("redis+sentinel://secret", "no master"), ("redis://secret/a", "no number")]
)
async def test_a_url_that_is_wrong_is_told_by_its_setting_without_its_text(url: str, mistake: str) -> None:
    with pytest.raises(NotConfigurable, match=f"^REDIS_URL.*{mistake}") as caught:
        await open_services(settings(url), evaluate=False)
    assert "secret" not in str(caught.value)


async def test_a_server_that_is_away_at_the_start_is_told() -> None:
    with pytest.raises(Unavailable):
        await open_services(settings("redis://127.0.0.1:1"), evaluate=False)
