"""The dashboard: it can be read, its panels stand side by side, and ask for metrics that exist."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.expressions import ROOT, exported, named, promtool

GRAFANA = ROOT / "deploy" / "grafana"
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "dashboards" / "segmentd.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
GRAPHS = [panel for panel in PANELS if panel["type"] != "row"]
EXPRESSIONS = [target["expr"] for panel in GRAPHS for target in panel["targets"]]


def test_its_rows_are_what_one_looks_for() -> None:
    rows = [panel["title"] for panel in PANELS if panel["type"] == "row"]
    assert rows[:5] == ["Health", "Throughput", "Latency", "Lags by partition", "Relay"]
    assert rows[5:] == ["Intake", "Store", "Webhooks and actions"]


def test_ids_are_unique_and_titles_and_expressions_are_there() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    assert all(panel["title"] and panel["targets"] for panel in GRAPHS)
    assert all(len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) for panel in GRAPHS)
    assert len(EXPRESSIONS) == len(set(EXPRESSIONS))


def test_panels_do_not_overlap_nor_stand_out() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        at = panel["gridPos"]
        cells = set(itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])))
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_all_of_it_asks_the_source_that_is_provisioned() -> None:
    [source] = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    asked = [*GRAPHS, *DASHBOARD["templating"]["list"], *DASHBOARD["annotations"]["list"]]
    asked += [target for panel in GRAPHS for target in panel["targets"]]
    assert {each["datasource"]["uid"] for each in asked} == {source["uid"]}
    assert {each["datasource"]["type"] for each in asked} == {source["type"]}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_asks_for_metrics_that_are_exported(expression: str) -> None:
    assert named(expression)
    assert named(expression) - exported() == set()


def test_no_metric_is_left_out() -> None:
    names = {name for name in exported() if not name.endswith(("_bucket", "_sum", "_count", "_created"))}
    left_out = {name for name in names if not any(name in text for text in EXPRESSIONS)}
    assert left_out == {"segmentd_ingest_bytes_total", "segmentd_warnings"}


def test_prometheus_understands_every_expression(tmp_path: Path) -> None:
    filled = EXPRESSIONS
    for variable, value in {"$__rate_interval": "1m", "$__range": "1h", "$role": ".*", "$partition": ".*"}.items():
        filled = [text.replace(variable, value) for text in filled]
    assert not any("$" in text for text in filled)
    rules = [{"record": f"panel:{number}", "expr": text} for number, text in enumerate(filled)]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", "rules.yml", cwd=tmp_path)
