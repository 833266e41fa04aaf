"""The results as tables for people, the aims beside them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.evaluator import Sizes, Whole
from benchmarks.step import Cost
from benchmarks.storm import Storm

AIM_STEP_US = 7.0  # at 20 segments
AIM_GROWTH = 3.0  # cost(1000) / cost(20)
AIM_WHOLE = 2.5  # times the floor at 20 segments
AIM_STORM = 3.0  # times the normal p99
AIM_TRANSITIONS = 0.05  # an event, at most: quiet rules, as in life


def show(
    steps: Sequence[Cost],
    wholes: Sequence[Whole],
    floors: Sequence[float],
    stormed: Storm | None,
    others: Sequence[Table] = (),
) -> None:
    """Prints what there is; the width does not depend on where it is printed."""
    console = Console(width=120)
    tables = [_steps(steps)] if steps else []
    if wholes:
        rows = [(f"{each.segments:,}", each.sizes) for each in wholes]
        tables += [_wholes(wholes, floors), sizes_table("the server's", "segments", rows)]
    tables += [_storm(stormed)] if stormed is not None else []
    for table in (*tables, *others):
        title, table.title = table.title, None  # a table folds its title to its own width
        console.print(f"\n{title}", table, sep="\n", highlight=False)


def make_table(title: str, *columns: str) -> Table:
    """Empty, its columns of numbers."""
    table = Table(title=title)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def sizes_table(whose: str, by: str, rows: Sequence[tuple[str, Sizes]]) -> Table:
    """What customers and memberships take of a server's memory; a row for each run."""
    title = f"bytes in {whose} memory (keys, timers and indexes with them; a profile as stored)"
    table = make_table(title, by, "customers", "a customer", "a profile", "memberships", "a membership")
    for label, each in rows:
        table.add_row(
            label,
            f"{each.customers:,}",
            f"{each.customer_bytes:.0f}",
            f"{each.profile_bytes:.0f}",
            f"{each.memberships:,}",
            f"{each.membership_bytes:.0f}",
        )
    return table


def _steps(steps: Sequence[Cost]) -> Table:
    least = min(steps, key=lambda each: each.segments)
    title = f"step alone, µs of CPU an event (aims: {AIM_STEP_US:g} at 20; 1,000 at most {AIM_GROWTH:g}× of 20)"
    table = make_table(title, "segments", "step", f"× of {least.segments}", "decode", "transitions", "profile bytes")
    for each in steps:
        table.add_row(
            f"{each.segments:,}",
            f"{each.step_us:.1f}",
            f"{each.step_us / least.step_us:.2f}",
            f"{each.decode_us:.1f}",
            f"{each.transitions:.3f}",
            f"{each.profile_bytes:.0f}",
        )
    return table


def _wholes(wholes: Sequence[Whole], floors: Sequence[float]) -> Table:
    title = f"the whole evaluator, µs of CPU an event, client + server (aim: {AIM_WHOLE:g}× the floor at 20)"
    table = make_table(title, "segments", "whole", "ours", "server", "floor", "× floor", "transitions")
    for each, before, after in zip(wholes, floors, floors[1:], strict=False):
        floor = (before + after) / 2
        table.add_row(
            f"{each.segments:,}",
            f"{each.us:.1f}",
            f"{each.ours_us:.1f}",
            f"{each.server_us:.1f}",
            f"{floor:.1f}",
            f"{each.us / floor:.2f}",
            f"{each.transitions:.3f}",
        )
    return table


def _storm(each: Storm) -> Table:
    title = f"{each.customers:,} customers expire at one instant, 500 events/s (aim: p99 ≤ {AIM_STORM:g}× of normal)"
    table = make_table(title, "", "p50 ms", "p99 ms", "× normal", "early", "lost", "wrong time", "drained in s")
    table.add_row("normal", f"{each.normal_p50_ms:.0f}", f"{each.normal_p99_ms:.0f}")
    ratio = each.storm_p99_ms / each.normal_p99_ms
    counts = (each.early, each.lost, each.wrong)
    values = [f"{each.storm_p50_ms:.0f}", f"{each.storm_p99_ms:.0f}", f"{ratio:.2f}", *map(str, counts)]
    table.add_row("storm", *values, f"{each.drained_s:.1f}")
    return table
