"""The alerts: each asks for metrics that exist, is tested, and has a line in the documents that says what to do."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from service.settings import Settings
from tests.deploy.expressions import PROMETHEUS, ROOT, exported, named, promtool

[GROUP] = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
ALERTS: dict[str, dict[str, Any]] = {rule["alert"]: rule for rule in GROUP["rules"]}
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


def test_every_alert_has_a_name_of_its_own() -> None:
    assert len(ALERTS) == len(GROUP["rules"]) >= 15
    assert all(name.startswith("Segmentd") for name in ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_asks_for_metrics_that_are_exported(name: str) -> None:
    asked = named(ALERTS[name]["expr"])
    assert asked - exported() == set()
    assert asked or name == "SegmentdDown"


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_urgent_it_is_and_what_is_the_matter(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"].keys() == {"summary", "runbook"}


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_leads_to_its_line_in_the_documents(name: str) -> None:
    path, _, anchor = ALERTS[name]["annotations"]["runbook"].partition("#")
    assert (ROOT / path).read_text() == OPERATIONS
    [line] = [line for line in OPERATIONS.splitlines() if f'<a id="{anchor}"></a>' in line]
    assert f"`{name}`" in line
    cells = [cell.strip() for cell in line.strip("|").split(" | ")]
    assert len(cells) == 3
    assert all(cells)


def test_the_documents_tell_of_no_alert_that_is_none() -> None:
    assert set(re.findall(r"`(Segmentd[A-Z]\w+)`", OPERATIONS)) == set(ALERTS)


def test_the_outbox_is_told_to_be_nearly_full_before_it_is() -> None:
    [threshold] = re.findall(r"> (\d+)$", ALERTS["SegmentdOutboxNearlyFull"]["expr"])
    assert int(threshold) == 0.8 * Settings.model_fields["outbox_transitions_max"].default


def test_every_alert_is_tested_to_be_silent_and_to_fire() -> None:
    tests = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == set(ALERTS)
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == set(ALERTS)


def test_prometheus_understands_them_and_they_fire_when_they_should() -> None:
    promtool("check", "rules", "alerts.yml")
    promtool("test", "rules", "alerts_test.yml")
    promtool("check", "config", "--syntax-only", "prometheus.yml")
