"""The results on Kafka as tables for people, the aims beside them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from benchmarks.kafka.customers import Population
from benchmarks.kafka.live import Latencies, Live, Storm
from benchmarks.kafka.parts import Backlog, Cost
from benchmarks.kafka.runs import Results
from benchmarks.tables import make_table, sizes_table

AIMS = {"kafka20": 2.0, "kafka200": 2.5, "kafka1000": 3.5, "kafkanoisy": 2.75}  # times the floor
AIM_LIVE_US = 40.0
AIM_LIVE_P99_MS = 150.0
AIM_HALF = 2.0  # times the bare loop's p99
AIM_STORM = 3.0  # times the normal p99
AIM_CUSTOMERS = 1.3  # times the cost with the fewest
AIM_TRIPS = 0.02  # Redis round trips an event


def tables(results: Results) -> list[Table]:
    """What there is; titles hold the aims."""
    found = []
    if results.backlogs:
        rows = [(each.label, each.sizes) for each in results.backlogs]
        found += [_backlogs(results.backlogs, results.floors), sizes_table("Valkey's", "", rows)]
    if results.lives:
        found.append(_lives(results.lives))
    if results.storm is not None:
        found.append(_storm(results.storm))
    if results.populations:
        found.append(_populations(results.populations))
    return found


def _backlogs(backlogs: Sequence[Backlog], floors: Sequence[Cost]) -> Table:
    title = (
        f"the whole service over a backlog on Kafka, µs of CPU an event (round trips: at most {AIM_TRIPS:g} an event)"
    )
    columns = ("", "all", "ours", "Valkey", "floor", "× floor", "aim", "transitions", "commit of", "trips", "events/s")
    made = make_table(title, *columns)
    for each, before, after in zip(backlogs, floors, floors[1:], strict=False):
        floor = (before.us + after.us) / 2
        aim = AIMS.get(each.label)
        made.add_row(
            each.label,
            f"{each.us:.1f}",
            f"{each.ours_us:.1f}",
            f"{each.store_us:.1f}",
            f"{floor:.1f}",
            f"{each.us / floor:.2f}",
            f"{aim:g}" if aim else "",
            f"{each.transitions / each.events:.3f}",
            f"{each.events / each.commits:,.0f}",
            f"{each.trips / each.events:.4f}",
            f"{each.rate:,.0f}",
        )
    return made


def _lives(lives: Sequence[Live]) -> Table:
    title = (
        f"live (aims at 5,000 events/s: {AIM_LIVE_US:g} µs, p99 {AIM_LIVE_P99_MS:g} ms;"
        f" at half load p99 at most {AIM_HALF:g}× the bare loop's)"
    )
    columns = (
        "",
        "events/s",
        "µs",
        "ours",
        "Valkey",
        "p50 ms",
        "p99 ms",
        "× bare",
        "by clock p99",
        "trans.",
        "commit of",
        "trips",
    )
    made = make_table(title, *columns)
    for each in lives:
        bare = [other for other in lives if other.what == "bare" and other.asked_rate == each.asked_rate]
        made.add_row(
            f"{each.what}, synced" if each.fsync == "always" else each.what,
            f"{each.rate:,.0f}",
            f"{each.us:.1f}",
            f"{each.ours_us:.1f}",
            f"{each.store_us:.1f}",
            _ms(each.event, "p50"),
            _ms(each.event, "p99"),
            f"{each.event.p99 / bare[0].event.p99:.2f}" if bare and bare[0].event.n and each.what == "service" else "",
            _ms(each.clock, "p99"),
            f"{each.transitions:.3f}",
            f"{each.commit_events:,.0f}" if each.what == "service" else "",
            f"{each.trips:.3f}" if each.what == "service" else "",
        )
    return made


def _ms(latencies: Latencies, share: str) -> str:
    return f"{getattr(latencies, share):.0f}" if latencies.n else ""


def _storm(each: Storm) -> Table:
    title = (
        f"{each.customers:,} customers expire at one instant, {each.rate:,.0f} events/s"
        f" (aim: p99 at most {AIM_STORM:g}× of normal)"
    )
    made = make_table(title, "", "p50 ms", "p99 ms", "× normal", "early", "lost", "wrong time", "drained in s")
    made.add_row("normal", _ms(each.normal, "p50"), _ms(each.normal, "p99"))
    ratio = f"{each.storm.p99 / each.normal.p99:.2f}" if each.normal.n else ""
    counts = [str(count) for count in (each.early, each.lost, each.wrong)]
    made.add_row("storm", _ms(each.storm, "p50"), _ms(each.storm, "p99"), ratio, *counts, f"{each.drained_s:.1f}")
    return made


def _populations(populations: Sequence[Population]) -> Table:
    least = min(populations, key=lambda each: each.customers)
    title = f"the same events by more customers (aim: at most {AIM_CUSTOMERS:g}×)"
    columns = (
        "customers",
        "all",
        "ours",
        "Valkey",
        f"× of {least.customers:,}",
        "profile",
        "memory a customer",
        "trips",
    )
    made = make_table(title, *columns)
    for each in populations:
        backlog = each.backlog
        made.add_row(
            f"{each.customers:,}",
            f"{backlog.us:.1f}",
            f"{backlog.ours_us:.1f}",
            f"{backlog.store_us:.1f}",
            f"{backlog.us / least.backlog.us:.2f}",
            f"{backlog.sizes.profile_bytes:.0f}",
            f"{each.memory_bytes:.0f}",
            f"{backlog.trips / backlog.events:.4f}",
        )
    return made
