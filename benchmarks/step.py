"""CPU of `step` alone, per event: decoding and dedup included, no store and no server."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass

from benchmarks.workload import documents, events
from rules.plan import Definition, Plan, compile_plan
from rules.profile import Profile, encode, new_profile
from rules.records import decode_record
from rules.events import Event
from rules.step import step


@dataclass(frozen=True)
class Cost:
    """µs of CPU an event, transitions an event, and what is stored."""

    segments: int
    step_us: float
    decode_us: float
    transitions: float
    profile_bytes: float
    profile_bytes_mean: float


def plan_of(n: int, *, noisy: bool = False) -> Plan:
    return compile_plan(Definition(each["id"], document=each) for each in documents(n, noisy=noisy))


def measure(segments: int, n: int, customers: int, *, noisy: bool = False) -> Cost:
    """Plays n events into empty profiles; the first fifth warms up and is not counted."""
    records = list(events(n, customers))
    plan = plan_of(segments, noisy=noisy)
    profiles: dict[str, Profile] = {}
    changes = 0
    gc.collect()
    gc.freeze()
    gc.disable()
    warm = n // 5
    decoding = 0.0
    started = time.process_time()
    for i in range(0, n, 5000):
        if i >= warm and i - 5000 < warm:
            started, decoding, changes, counted_from = time.process_time(), 0.0, 0, i
        begin = time.process_time()
        batch = [decode_record(record, ts) for _, ts, record in records[i : i + 5000]]
        decoding += time.process_time() - begin
        for event in batch:
            assert isinstance(event, Event)
            profile = profiles.get(event.customer_id)
            if profile is None:
                profile = profiles[event.customer_id] = new_profile(event.customer_id)
            changes += len(step(profile, (event,), plan, event.ts)[1])
    total = time.process_time() - started
    gc.enable()
    counted = n - counted_from
    sizes = [len(encode(profile)) for profile in profiles.values()]
    return Cost(
        segments,
        (total - decoding) / counted * 1e6,
        decoding / counted * 1e6,
        changes / counted,
        sum(sizes),
        sum(sizes) / len(sizes),
    )
