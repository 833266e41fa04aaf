"""Settings: from the environment, checked, documented where they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from consumers.embedded import Embedded
from consumers.state.store import Store
from rules.errors import Unavailable
from service import settings as module
from service.settings import Settings
from service.wiring import NotConfigurable, open_services
from tests.service.conftest import PARTITIONS


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


async def test_brokers_that_are_away_are_named_as_long_as_nobody_knows_the_number_of_partitions(
    settings: Settings, valkey: Embedded
) -> None:
    store = Store.connect(valkey.url)
    await store.call("FLUSHALL")
    await store.close()
    away = settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
        await open_services(away, evaluate=False)
    await (await open_services(settings, evaluate=False)).close()
    services = await open_services(away, evaluate=False)  # the store knows it: reads are answered
    try:
        assert (services.log.partitions, await services.reads.sizes(["any"])) == (PARTITIONS, {"any": 0})
    finally:
        await services.close()


async def test_settings_of_kafka_that_contradict_each_other_are_refused(settings: Settings) -> None:
    wrong = settings.model_copy(
        update={"kafka_bootstrap_servers": "127.0.0.1:1", "kafka_security_protocol": "SASL_SSL"}
    )
    with pytest.raises(NotConfigurable, match="password"):
        await open_services(wrong, evaluate=False)


async def test_another_number_of_partitions_than_the_data_has_is_refused(settings: Settings) -> None:
    await (await open_services(settings, evaluate=False)).close()
    with pytest.raises(NotConfigurable, match="partitions"):
        await open_services(settings.model_copy(update={"partitions": PARTITIONS + 1}), evaluate=False)


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
