"""The settings of what may be called and of webhooks: read from the environment, and refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from service.settings import Settings
from service.wiring import NotConfigurable, open_services


def test_what_may_be_called_is_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().outbound_allow == ()
    monkeypatch.setenv("SEGMENTD_OUTBOUND_ALLOW", " 10.1.0.0/16, crm.internal,")
    assert Settings().outbound_allow == ("10.1.0.0/16", "crm.internal")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OUTBOUND_ALLOW", "10.0.0.0/99"),
        ("OUTBOUND_ALLOW", "https://crm.internal"),
        ("OUTBOUND_TIMEOUT_SECONDS", "0"),
        ("WEBHOOK_KEY", "short"),
        ("WEBHOOK_KEY", "k" * 32 + ",short"),
        ("WEBHOOK_DISABLE_AFTER_DAYS", "0"),
    ],
)
def test_a_bad_value_names_the_setting_and_never_the_key(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"SEGMENTD_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()) as refused:
        Settings()
    if name == "WEBHOOK_KEY":
        assert value not in str(refused.value)


async def test_a_file_of_authorities_that_is_none_is_named(settings: Settings, tmp_path: Path) -> None:
    for file in (tmp_path / "nowhere.pem", tmp_path / "none.pem"):
        (tmp_path / "none.pem").write_text("nothing")
        with pytest.raises(NotConfigurable, match="outbound_ca_file"):
            await open_services(settings.model_copy(update={"outbound_ca_file": file}))
