"""The webhooks' latencies as a table."""

from __future__ import annotations

from rich.table import Table

from benchmarks.tables import make_table
from benchmarks.webhooks.run import Results

AIM = 2.0  # times the bare consumer's p99
AIM_HANGING = 1.05  # times the p99 while none hangs


def table(results: Results) -> Table:
    """Ratios of p99 to the bare consumer's, and with some hanging to that with none."""
    title = (
        f"from an event to its webhook at {results.rate} events/s (aims: p99 at most {AIM:g}× of the bare consumer's;"
        f" with 5 % hanging the others' at most {AIM_HANGING:g}× of before)"
    )
    found = make_table(title, "", "events", "p50 ms", "p99 ms", "× bare", "× all well", "missing", "twice")
    bare, well = results.latencies[0], results.latencies[2]
    for place, each in enumerate(results.latencies):
        found.add_row(
            each.what,
            f"{each.events:,}",
            f"{each.p50_ms:.1f}",
            f"{each.p99_ms:.1f}",
            f"{each.p99_ms / bare.p99_ms:.2f}" if place else "",
            f"{each.p99_ms / well.p99_ms:.2f}" if place == 3 else "",
            str(each.missing),
            str(each.twice),
        )
    return found
