"""Secrets by name, and that they are masked wherever they could show."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from consumers.connectors.secrets import Secrets, SecretsView, SettingsView

VALUE = 's3cr+t/with "quotes" & ünïcode'


def test_the_environment_goes_before_the_directory_and_names_are_exact(tmp_path: Path) -> None:
    (tmp_path / "A").write_text("of the file\n")
    (tmp_path / "B").write_text("of the file too\n")
    secrets = Secrets(tmp_path, {"SEGMENTD_SECRET_A": "of the environment", "SEGMENTD_SECRET_EMPTY": " "})
    assert (secrets.get("A"), secrets.get("B")) == ("of the environment", "of the file too")
    for name in ("b", "C", "EMPTY", "../A", "A/B", "", "A.txt"):
        assert secrets.get(name) is None, name


def test_a_file_that_changes_is_read_anew(tmp_path: Path) -> None:
    (tmp_path / "TOKEN").write_text("the first")
    secrets = Secrets(tmp_path, {})
    assert secrets.get("TOKEN") == "the first"
    (tmp_path / "TOKEN").write_text("the second")
    os.utime(tmp_path / "TOKEN", ns=(1, 1))  # a mark of its own, however coarse the file system's clock is
    assert secrets.get("TOKEN") == "the second"
    (tmp_path / "TOKEN").unlink()
    assert secrets.get("TOKEN") is None
    assert secrets.mask("the first, the second") == "***, ***"


def test_a_directory_that_is_not_there_holds_no_secrets(tmp_path: Path) -> None:
    assert Secrets(tmp_path / "nowhere", {}).get("A") is None


FORMS = {
    "plain": VALUE,
    "in JSON": VALUE.replace('"', '\\"'),
    "in a query": quote_plus(VALUE),
    "in a path": quote(VALUE, safe=""),
    "base64": base64.b64encode(VALUE.encode()).decode(),
    "base64 of addresses": base64.urlsafe_b64encode(VALUE.encode()).decode(),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_secret_that_was_read_is_masked_in_every_form(form: str) -> None:
    secrets = Secrets(None, {"SEGMENTD_SECRET_A": VALUE})
    assert secrets.get("A") == VALUE
    masked = secrets.mask(f"before {form} after")
    assert masked.replace("=", "") == "before *** after"


def test_what_is_too_short_to_be_a_secret_makes_no_holes_in_texts() -> None:
    secrets = Secrets(None, {"SEGMENTD_SECRET_A": "abc"})
    assert secrets.get("A") == "abc"
    assert secrets.mask("abcabc") == "abcabc"


def test_nothing_shows_a_secret_by_accident(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path, {"SEGMENTD_SECRET_A": VALUE})
    assert secrets.get("A")
    assert VALUE not in repr(secrets)
    assert VALUE not in repr(SecretsView(secrets, shown=False))
    assert SecretsView(secrets, shown=True)["A"] == "***"
    with pytest.raises(KeyError):
        SecretsView(secrets, shown=True)["B"]


def test_settings_come_from_the_environment_or_the_document() -> None:
    settings = SettingsView("my_crm", {"a": "of the document", "b": None, "c": 5}, {"SEGMENTD_CONNECTOR_MY_CRM_B": "x"})
    assert (settings["a"], settings["b"], settings["c"], settings.get("d")) == ("of the document", "x", 5, None)
    assert SettingsView("crm", {"a": 1}, {"SEGMENTD_CONNECTOR_CRM_A": "2"})["a"] == "2"
    with pytest.raises(KeyError):
        SettingsView("crm", {"b": None}, {})["b"]
