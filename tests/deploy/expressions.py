"""Which metrics there are, which an expression of Prometheus names, and promtool where the machine has it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.metrics import Metrics

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"


def exported() -> set[str]:
    """The names of all samples that a process can show."""
    found: set[str] = set()
    for family in text_string_to_metric_families(Metrics().text().decode()):
        name, kind = family.name, family.type
        found |= {f"{name}_total"} if kind == "counter" else {name}
        if kind == "histogram":
            found |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"}
    return found


def named(expression: str) -> set[str]:
    """The metrics of this service that an expression names."""
    return set(re.findall(r"\bsegmentd_\w+", expression))


def promtool(*arguments: str | Path, cwd: Path = PROMETHEUS) -> None:
    """Fails with what promtool says. Skips where there is none (Debian: `apt install prometheus`)."""
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("no promtool on this machine")
    ran = subprocess.run([tool, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
