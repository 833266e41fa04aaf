"""Settings: from the environment, checked, documented where they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from service import settings as module
from service.settings import Settings
from service.wiring import NotConfigurable, open_services


def test_a_setting_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGMENTD_HTTP_PORT", "9000")
    monkeypatch.setenv("SEGMENTD_PARTITIONS", "4")
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere")
    found = Settings()
    assert (found.http_port, found.partitions) == (9000, 4)
    assert found.redis_url == SecretStr("redis://elsewhere")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTP_PORT", "70000"),
        ("PARTITIONS", "0"),
        ("BODY_BYTES_MAX", "lots"),
        ("LOG_LEVEL", "loud"),
        ("EVENT_AGE_MAX_DAYS", "99999"),
        ("FEED_HEARTBEAT_SECONDS", "0"),
    ],
)
def test_a_bad_value_stops_the_process_and_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"SEGMENTD_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()):
        Settings()


def test_every_setting_says_what_it_is() -> None:
    text = Path(module.__file__).read_text()
    for name in Settings.model_fields:
        assert re.search(rf'    {name}: .*?\n    """', text, re.DOTALL), name
        after = text[text.index(f"    {name}: ") :]
        assert after.index('"""') < after.find("\n\n"), f"{name} has no words of its own"


async def test_kafka_is_refused_as_long_as_there_is_none() -> None:
    with pytest.raises(NotConfigurable, match="KAFKA_BOOTSTRAP_SERVERS"):
        await open_services(Settings(kafka_bootstrap_servers="localhost:9092"))


async def test_another_number_of_partitions_than_the_data_has_is_refused(settings: Settings) -> None:
    await (await open_services(settings, evaluate=False)).close()
    with pytest.raises(NotConfigurable, match="partitions"):
        await open_services(settings.model_copy(update={"partitions": settings.partitions + 1}), evaluate=False)


async def test_services_are_embedded_where_no_store_is_named(tmp_path: Path) -> None:
    services = await open_services(Settings(data_dir=tmp_path, partitions=1))
    services.start_evaluator()
    try:
        assert services.embedded is not None
        assert (tmp_path / "lock").exists()
        assert len(await services.reads.status()) == 1
    finally:
        await services.close()
    again = await open_services(Settings(data_dir=tmp_path, partitions=1), evaluate=False)
    await again.close()
