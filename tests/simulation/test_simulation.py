"""Whatever goes wrong, what comes out is f(log): 300 seeds always, 10,000 in `make test-long`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest

from tests.simulation.__main__ import command
from tests.simulation.conftest import Run
from tests.simulation.faults import FATES, FATES_ONCE
from tests.simulation.run import simulate
from tests.simulation.server import Server
from tests.simulation.service import PLACES

SEEDS = 300
SEEDS_LONG = 10_000
CHUNK = 25
CHUNK_LONG = 250

FAULTS = {
    *(f"{server}: {fate}" for server in ("store", "log") for fate in FATES),
    *(f"topic: {fate}" for fate in FATES_ONCE),
    *(f"crash at {place}" for place in PLACES),
    *(f"{server}: outage" for server in ("store", "log", "topic")),
    "a busy machine",
    "another leader's clock",
    "clean stop",
    "crash at any moment",
    "rebalance",
    "sleeper",
    "store emptied",
    "store rebuilt",
    "store rolled back",
    "topic: retention",
    "topic: transaction aborted",
    "topic: transaction timed out",
    "told: the store has lost what the topic holds: the log is read again, and what comes again is left out",
}
"""Every kind of fault, and what shows that it bit."""


def check(run: Run, first: int, count: int) -> None:
    found = [report for report in map(run, range(first, first + count)) if report.problem]
    told = [f"seed {report.seed}: {report.problem}\n  again: {command(report.seed)} -v" for report in found]
    assert not told, "\n".join(told)


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_the_transitions_are_those_of_an_uninterrupted_run(run: Run, first: int) -> None:
    check(run, first, CHUNK)


@pytest.mark.long
@pytest.mark.parametrize("first", range(SEEDS, SEEDS_LONG, CHUNK_LONG))
def test_the_transitions_are_those_of_an_uninterrupted_run_for_thousands_of_seeds(run: Run, first: int) -> None:
    check(run, first, min(CHUNK_LONG, SEEDS_LONG - first))


def test_every_kind_of_fault_really_happened(run: Run) -> None:
    happened: Counter[str] = Counter()
    for seed in range(SEEDS):
        happened.update(run(seed).faults)
    assert {kind for kind in FAULTS if not happened[kind]} == set()
    assert happened["compared with the oracle"] > SEEDS / 4
    assert sum(run(seed).transitions for seed in range(SEEDS)) > 10 * SEEDS
    assert sum(run(seed).triggers for seed in range(SEEDS)) > SEEDS


@pytest.mark.parametrize("seed", [3, 4])
def test_the_same_seed_is_the_same_run(server: Server, seed: int) -> None:
    lines: list[str] = []
    first, second = simulate(seed, server, lines.append), simulate(seed, server)
    assert first == second
    assert first.commits > 10
    assert any("starts" in line for line in lines)


def test_a_seed_is_the_same_run_in_another_process(server: Server) -> None:
    """One command replays it, though there sets are in another order."""
    report = simulate(5, server)
    arguments = [sys.executable, "-m", "tests.simulation", "5"]
    done = subprocess.run(arguments, env={**os.environ, "PYTHONHASHSEED": "12345"}, capture_output=True, check=True)
    assert f"trace {report.trace}" in done.stdout.decode()
