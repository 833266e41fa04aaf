"""What the number of customers does to an event's cost, and what a customer takes of Valkey's memory."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.kafka.loading import load
from benchmarks.kafka.machine import Machine, unique
from benchmarks.kafka.parts import Asked, Backlog, filled_topic, measure_backlog
from benchmarks.progress import track
from benchmarks.workload import documents, events, first_events

SEGMENTS = 20


@dataclass(frozen=True)
class Population:
    """`memory_bytes`: what the server took for each customer after one event of everybody, all but the feed."""

    customers: int
    backlog: Backlog
    memory_bytes: float


async def measure_customers(machine: Machine, customers: int, n: int) -> Population:
    """First one event of each customer, then n events of them by a new process, which alone are counted."""
    rules = documents(SEGMENTS)
    out = unique("out")
    await machine.empty_store()
    empty = await machine.used_memory()
    async with filled_topic(machine, f"{customers:,} customers", first_events(customers), customers) as topic:
        first = await measure_backlog(
            machine, Asked(f"first events of {customers:,}", topic, rules, customers, keep=True), out
        )
        with track("loading their events", n) as advance:
            await load(machine.bootstrap, topic, events(n, customers), advance)
        asked = Asked(f"{n:,} events of {customers:,}", topic, rules, n, begun=True)
        backlog = await measure_backlog(machine, asked, out)
    return Population(customers, backlog, (first.memory_bytes - empty) / first.sizes.customers)
