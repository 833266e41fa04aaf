"""The documents do not rot: what they name exists, what exists is named, and their examples are right."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from consumers.evaluator import Settings as EvaluatorSettings
from consumers.log.redis_streams import Retention
from consumers.state.commit import DEAD_LETTERS_MAX
from rules.language import load_yaml, parse_document
from rules.limits import DAY_MS
from service.auth import Tokens
from service.cli.files import is_cases
from service.cli.test import outcomes_of
from service.metrics import Metrics
from service.settings import Settings
from tests.service.test_auth import CALLS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
OWN_NAMES = {"redis_url": "REDIS_URL", "kafka_bootstrap_servers": "KAFKA_BOOTSTRAP_SERVERS"}
OF_THE_COMMAND_LINE = {"SEGMENTD_SERVER", "SEGMENTD_TOKEN"}
OF_CONNECTORS = re.compile(r"SEGMENTD_(SECRET|CONNECTOR)(_[A-Z_]+)?")  # named by their documents

# -- capabilities.md: every number and letter once, and every test that it names ---------------------------------------

ROWS = re.findall(r"^\| ([^|]*) \| ([^|]*) \| ([^|]*) \| ([^|]*)\|$", (DOCS / "capabilities.md").read_text(), re.M)
NUMBERED = [(name, state, shown_by) for name, _, state, shown_by in ROWS if re.fullmatch(r"\d+|[a-l]", name)]


def test_every_capability_is_told_once() -> None:
    told = Counter(name for name, _, _ in NUMBERED)
    assert told == Counter([*map(str, range(1, 100)), *"abcdefghijkl"])


@pytest.mark.parametrize(("name", "state", "shown_by"), NUMBERED, ids=[name for name, _, _ in NUMBERED])
def test_what_works_is_shown_by_tests_and_what_does_not_claims_none(name: str, state: str, shown_by: str) -> None:
    assert re.match(r"\*\*works\*\*|\*partly\*: |–$", state.strip()), state
    assert bool(re.findall(r"`[^`]+`", shown_by)) == (state.strip() != "–"), shown_by


def test_every_test_that_a_document_names_exists() -> None:
    named = {name for document in documents() for name in re.findall(r"`(tests/[^`]+::[^`]+)`", document.read_text())}
    named |= {f"library:{name}" for name in shorthands("library")} | {f"cases:{name}" for name in shorthands("cases")}
    assert len(named) > 60
    assert [name for name in sorted(named) if not exists(name)] == []


def shorthands(kind: str) -> set[str]:
    return set(re.findall(rf"`{kind}:([^`]+)`", (DOCS / "capabilities.md").read_text()))


def exists(name: str) -> bool:
    """Whether there is such a test; its parameter, where it has one, is the name of a file that is run."""
    kind, _, of = name.partition(":")
    if kind == "library":
        return all((ROOT / "rules" / "library" / f"{of}{suffix}").is_file() for suffix in (".yaml", ".cases.yaml"))
    if kind == "cases":
        return (ROOT / "tests" / "cases" / f"{of}.cases.yaml").is_file()
    path, _, function = name.partition("::")
    return function.partition("[")[0] in functions_of(ROOT / path)


@cache
def functions_of(path: Path) -> frozenset[str]:
    if not path.is_file():
        return frozenset()
    body = ast.parse(path.read_text()).body
    return frozenset(node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_the_library_is_as_large_as_it_is_said_to_be() -> None:
    size = sum(not is_cases(path) for path in (ROOT / "rules" / "library").glob("*.yaml"))
    for document in (ROOT / "README.md", ROOT / "CHANGELOG.md", DOCS / "segments.md"):
        assert re.findall(r"(\d+)\s+segments\s+with", document.read_text()) == [str(size)], document.name


# -- http.md: the calls ------------------------------------------------------------------------------------------------


def test_every_call_is_told_with_its_scope_and_no_other() -> None:
    told = re.findall(r"^\| `([A-Z]+) (/\S*)` \| (\S+) \|", (DOCS / "http.md").read_text(), re.M)
    expected = {(method, template(path), f"`{scope}`") for method, path, scope in CALLS}
    assert set(told) == expected | {("GET", "/healthz", "–"), ("GET", "/readyz", "–")}


def template(path: str) -> str:
    return path.partition("?")[0].replace("buyers", "{segment}").replace("ana", "{customer}")


# -- operations.md: settings, metrics, what is kept --------------------------------------------------------------------

OPERATIONS = (DOCS / "operations.md").read_text()


def test_every_setting_is_told_with_its_default_and_no_other() -> None:
    told = dict(re.findall(r"^\| `([A-Z_]+)` \| (\S+) \|", OPERATIONS, re.M))
    expected = {variable(name): told_default(field.default) for name, field in Settings.model_fields.items()}
    assert told == expected


def test_no_document_names_a_setting_that_is_none() -> None:
    known = {variable(name) for name in Settings.model_fields} | OF_THE_COMMAND_LINE
    for document in documents():
        named = set(re.findall(r"SEGMENTD_[A-Z_]*[A-Z]", document.read_text()))
        assert {name for name in named if not OF_CONNECTORS.fullmatch(name)} <= known, document.name


def variable(setting: str) -> str:
    return OWN_NAMES.get(setting, f"SEGMENTD_{setting.upper()}")


def told_default(default: Any) -> str:
    if default in (None, "", (), Tokens(())):
        return "–"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def test_every_metric_is_told_with_its_labels_and_no_other() -> None:
    metrics: list[Any] = list(Metrics()._registry._collector_to_names)
    expected = {name_of(metric): set(metric._labelnames) for metric in metrics}
    rows = re.findall(r"^\| `(segmentd_[a-z_]+)` \|([^|]*)\|", OPERATIONS, re.M)
    assert {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows} == expected
    for document in documents():
        named = set(re.findall(r"`(segmentd_[a-z_]+)", document.read_text()))
        assert named <= set(expected), document.name


def name_of(metric: Any) -> str:
    """As it is scraped."""
    [family] = metric.describe()
    return f"{family.name}_total" if family.type == "counter" else str(family.name)


def test_what_is_kept_is_what_the_code_keeps() -> None:
    retention, bounds = Retention(), EvaluatorSettings()
    assert f"{retention.ms // DAY_MS} days and {retention.records_max:,} records a partition" in OPERATIONS
    assert f"{bounds.feed_transitions_max:,} transitions, over all partitions" in OPERATIONS
    assert f"{DEAD_LETTERS_MAX:,} a partition" in OPERATIONS
    assert f"lease of {bounds.lease_ms // 1000} seconds" in OPERATIONS


# -- examples ----------------------------------------------------------------------------------------------------------


def documents() -> list[Path]:
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def examples_of_the_guide() -> list[Any]:
    """The documents, and the conditions of the lists of conditions, each made a document."""
    found: list[Any] = []
    for block in re.findall(r"^```yaml\n(.*?)^```", (DOCS / "segments.md").read_text(), re.M | re.S):
        raw = load_yaml(block)
        if isinstance(raw, list):
            found += [{"id": "example", "enter": condition} for condition in raw]
        elif "cases" not in raw:
            found.append(raw)
    return found


@pytest.mark.parametrize("example", examples_of_the_guide(), ids=str)
def test_every_example_of_the_guide_is_right(example: dict[str, Any]) -> None:
    assert parse_document(example).id == example["id"]


def test_the_guide_has_an_example_of_every_form_measure_window_and_operator() -> None:
    text = repr(examples_of_the_guide())
    forms = "all any none not at_least event attribute tag segment ratio difference sample exit hold list for"
    measures = "count sum avg min max distinct first last since_first since_last followed_by not_followed_by match"
    windows = "within before between period where items"
    operators = "eq in not_in gt gte lt contains starts_with ends_with matches exists size in_last in_next age"
    for word in f"{forms} {measures} {windows} {operators} anniversary_in_next".split():
        assert f"'{word}':" in text, word


def test_the_cases_of_the_guide_pass(tmp_path: Path) -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", (DOCS / "segments.md").read_text(), re.M | re.S)
    [cases] = [block for block in blocks if "\ncases:" in block]
    file = tmp_path / "guide.cases.yaml"
    file.write_text(cases)
    assert [outcome.difference for outcome in outcomes_of(file)] == [()]


def test_the_readmes_segment_is_right_and_its_cases_pass(tmp_path: Path) -> None:
    written = re.findall(r"cat > mine/(\S+) <<'END'\n(.*?)^END$", (ROOT / "README.md").read_text(), re.M | re.S)
    assert [name for name, _ in written] == ["two-looks.yaml", "two-looks.cases.yaml"]
    for name, text in written:
        (tmp_path / name).write_text(text)
    assert parse_document(load_yaml(written[0][1])).id == "two-looks"
    assert [outcome.difference for outcome in outcomes_of(tmp_path / "two-looks.cases.yaml")] == [()]
