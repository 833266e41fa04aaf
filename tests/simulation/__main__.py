"""Run seeds: `python -m tests.simulation 17`, `python -m tests.simulation 0..299`; `-v` tells what happens."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from consumers.embedded import Embedded
from tests.simulation.run import Report, simulate
from tests.simulation.server import Server


def main() -> int:
    """Exit status 1 when a seed fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seeds", help="a seed, or FIRST..LAST")
    parser.add_argument("-v", "--verbose", action="store_true", help="every step of every process")
    parser.add_argument("-k", "--keep-going", action="store_true", help="do not stop at the first that fails")
    arguments = parser.parse_args()
    first, _, last = arguments.seeds.partition("..")
    faults: Counter[str] = Counter()
    failed, began = 0, time.perf_counter()
    with tempfile.TemporaryDirectory() as directory, Embedded(Path(directory)) as embedded:
        server = Server(embedded)
        reports: list[Report] = []
        for seed in range(int(first), int(last or first) + 1):
            report = simulate(seed, server, print if arguments.verbose else None)
            reports.append(report)
            faults += report.faults
            if report.problem:
                failed += 1
                print(f"seed {seed}: {report.problem}\n  again: {command(seed)} -v", flush=True)
                if not arguments.keep_going:
                    break
        server.close()
    _summary(reports, faults, time.perf_counter() - began)
    return 1 if failed else 0


def command(seed: int) -> str:
    """What runs this seed again."""
    return f".venv/bin/python -m tests.simulation {seed}"


def _summary(reports: list[Report], faults: Counter[str], seconds: float) -> None:
    transitions, commits = sum(each.transitions for each in reports), sum(each.commits for each in reports)
    virtual = sum(each.seconds for each in reports)
    print(f"{len(reports)} seeds, {virtual:.0f} s simulated in {seconds:.1f} s", end=": ")
    print(f"{commits} commits, {transitions} transitions, {sum(each.triggers for each in reports)} triggers")
    for kind, count in sorted(faults.items()):
        print(f"  {count:6}  {kind}")
    if len(reports) == 1:
        print(f"trace {reports[0].trace}")


if __name__ == "__main__":
    sys.exit(main())
