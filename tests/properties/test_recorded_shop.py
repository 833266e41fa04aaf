"""A real shop's year and every segment of the library: replayed, they give what judging by definition gives."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from rules.events import Event
from rules.language import parse_document
from rules.plan import Definition, compile_plan
from rules.play import Partition
from tests.oracle import Oracle
from tests.oracle.casefiles import Core, instant
from tests.properties.incremental import run
from tests.properties.streams import Log

ROOT = Path(__file__).parents[2]
RECORDING = ROOT / "service" / "sample" / "online-retail-small.jsonl.gz"
LIBRARY = sorted(path for path in (ROOT / "rules" / "library").glob("*.yaml") if not path.name.endswith(".cases.yaml"))
UNTIL = instant("2012-06-01T00:00:00Z")  # half a year after the last event: the clock has its say


def customers(place: int, of: int) -> Log:
    """The events of every `of`-th customer, each with the clock that all customers' events make."""
    clock = 0
    log: Log = []
    with gzip.open(RECORDING) as lines:
        raw = [json.loads(line) for line in lines]
    kept = set(sorted({each["customer_id"] for each in raw})[place::of])
    for each in raw:
        clock = max(clock, instant(each["ts"]))
        if each["customer_id"] in kept:
            log.append((event(each), clock))
    return log


def event(raw: dict[str, Any]) -> Event:
    return Event(raw["type"], raw["customer_id"], instant(raw["ts"]), raw["id"], raw["properties"], raw["id"])


def replayed_as_judged(log: Log) -> None:
    documents = [yaml.load(path.read_text(), Core) for path in LIBRARY]
    plan = compile_plan([Definition(each["id"], document=each) for each in documents])
    oracle = Oracle([parse_document(each) for each in documents])

    found = run(Partition(plan), log, UNTIL)
    assert len(found.transitions) > len({each.customer_id for each, _ in log})
    assert found == oracle.run(log, UNTIL)


def test_a_few_real_customers_move_as_judging_by_definition_says() -> None:
    replayed_as_judged(customers(7, 300))


@pytest.mark.long
@pytest.mark.parametrize("place", range(8))
def test_many_real_customers_move_as_judging_by_definition_says(place: int) -> None:
    replayed_as_judged(customers(place, 80))
