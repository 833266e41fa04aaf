"""CPU of `step` alone, dedup included: no store and no server. Decoding the records is told beside it."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.progress import Advance, track
from benchmarks.workload import documents, events
from rules.events import Event
from rules.plan import Definition, Plan, compile_plan
from rules.profile import Profile, encode, new_profile
from rules.records import decode_record
from rules.step import step_one
from rules.transitions import Transition

_CHUNK = 5_000
_WARM = 5  # one chunk in so many, from the first, warms up and is not counted


@dataclass(frozen=True)
class Cost:
    """µs of CPU an event, transitions an event, and what a profile takes as stored."""

    segments: int
    step_us: float
    decode_us: float
    transitions: float
    profile_bytes: float


def plan_of(n: int) -> Plan:
    return compile_plan(Definition(each["id"], document=each) for each in documents(n))


def measure(segments: int, n: int, customers: int, rounds: int) -> Cost:
    """Plays the same n events so many times, into empty profiles each time, and adds up each chunk's least cost.

    Other work on the machine only ever adds, so the least of several rounds is the nearest to the truth.
    """
    records = [(ts, record) for _, ts, record in events(n, customers)]
    plan = plan_of(segments)
    with track(f"step, {segments:,} segments", n * rounds) as advance:
        played = [_play(plan, records, advance) for _ in range(rounds)]
    stepping = [min(chunk) for chunk in zip(*(play.stepping for play in played), strict=True)]
    decoding = [min(chunk) for chunk in zip(*(play.decoding for play in played), strict=True)]
    warm = len(stepping) // _WARM
    counted = n - warm * _CHUNK
    return Cost(
        segments,
        sum(stepping[warm:]) / counted * 1e6,
        sum(decoding[warm:]) / counted * 1e6,
        sum(played[0].changes[warm:]) / counted,
        sum(played[0].sizes) / len(played[0].sizes),
    )


@dataclass(frozen=True)
class _Played:
    """By chunk: CPU seconds, and transitions; and each profile's size at the end."""

    decoding: list[float]
    stepping: list[float]
    changes: list[int]
    sizes: list[int]


def _play(plan: Plan, records: Sequence[tuple[int, bytes]], advance: Advance) -> _Played:
    profiles: dict[str, Profile] = {}
    decoding, stepping, changes = [], [], []
    gc.collect()
    gc.disable()
    for at in range(0, len(records), _CHUNK):
        began = time.process_time()
        batch = [decode_record(record, ts) for ts, record in records[at : at + _CHUNK]]
        decoded = time.process_time()
        changes.append(_step_all(profiles, batch, plan))
        decoding.append(decoded - began)
        stepping.append(time.process_time() - decoded)
        advance(len(batch))
    gc.enable()
    return _Played(decoding, stepping, changes, [len(encode(profile)) for profile in profiles.values()])


def _step_all(profiles: dict[str, Profile], batch: Sequence[object], plan: Plan) -> int:
    changes: list[Transition] = []
    for event in batch:
        assert isinstance(event, Event)
        profile = profiles.get(event.customer_id)
        if profile is None:
            profile = profiles[event.customer_id] = new_profile(event.customer_id)
        step_one(profile, event, plan, event.ts, changes)
    return len(changes)
