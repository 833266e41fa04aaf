"""What is kept of a partition's deliveries, and the one script that writes it: fenced, all of it or nothing, once."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

import msgspec

from consumers.state.commit import Held
from consumers.state.keys import DELIVERY_WORKERS, DeliveryKey, PartitionKeys
from consumers.state.store import Argument, Script, Store
from rules.errors import SegmentdError

_DELIVER, _CLAIM, _WORKERS = Script("deliver"), Script("deliver_claim"), Script("deliver_workers")
_ENCODER = msgspec.msgpack.Encoder()

Flag = Literal["w", "r"]
"""Of a parked item: waiting for its time, or to be tried again."""
WAKE_MAX = 1_000
"""Parked items that one write makes due; so many woken, the next write goes on."""
COUNTS = ("done", "known", "failed", "dropped", "given_up", "lost", "dead_dropped", "done_dropped", "logged")
MARKS = ("last_done_ms", "last_failed_ms")
JOB_COUNTS = ("found", "queued", "done", "failed", "dropped")
_PARKED_KEYS: tuple[DeliveryKey, ...] = ("p", "w", "r", "l")
_ALL_KEYS: tuple[DeliveryKey, ...] = (*_PARKED_KEYS, "d", "a", "g", "k")


class Fenced(SegmentdError):
    """Another worker has the partition's deliveries, or the store was rolled back: take them over anew."""


class Taken(NamedTuple):
    """A partition's deliveries taken over. `write`: the number of the last write; `cursors`: by target."""

    epoch: int
    write: int
    cursors: dict[str, str]


class Parked(NamedTuple):
    """How many items of a target are parked, how many of them are to be tried again; `woken` by this write."""

    parked: int
    retried: int
    woken: int


class Bounds(NamedTuple):
    """Caps of a target's part in a partition, and how long done keys are remembered (ms)."""

    log_max: int
    dead_max: int
    done_max: int
    done_ms: int


class _Block:
    """What a write changes of one target."""

    def __init__(self, log_max: int) -> None:
        self.ops: list[list[Any]] = []
        self.log: deque[bytes] = deque(maxlen=log_max)
        self.done: dict[str, int] = {}
        self.keys: set[DeliveryKey] = set()
        self.remove = False


class Draft:
    """What the next write changes; operations of a target are done in the order they were given.

    `lane`: whatever text; "" for none. Due times and `at_ms` in ms.
    """

    def __init__(self, bounds: Bounds) -> None:
        self.cursors: dict[str, str] = {}
        self._bounds = bounds
        self._blocks: dict[str, _Block] = {}
        self._counts: Counter[str] = Counter()
        self._marks: dict[str, int] = {}
        self._jobs: dict[str, str] = {}
        self._job_counts: Counter[str] = Counter()
        self._cursors_off: list[str] = []
        self._counts_off: list[str] = []
        self._jobs_off: list[str] = []

    @property
    def empty(self) -> bool:
        said = (self.cursors, self._blocks, self._counts, self._marks, self._jobs, self._job_counts)
        return not (any(said) or self._cursors_off or self._jobs_off)

    @property
    def targets(self) -> list[str]:
        """Whose blocks the write answers for, in this order."""
        return list(self._blocks)

    def _block(self, target: str, *keys: DeliveryKey) -> _Block:
        block = self._blocks.get(target)
        if block is None:
            block = self._blocks[target] = _Block(self._bounds.log_max)
        block.keys.update(keys)
        return block

    def park(self, target: str, lane: str, flag: Flag, due_ms: int, record: bytes) -> None:
        """A new one, the last of its lane."""
        self._block(target, *_PARKED_KEYS).ops.append(["park", lane_of(lane), flag, due_ms, record])

    def again(self, target: str, n: int, lane: str, flag: Flag, due_ms: int, record: bytes) -> None:
        """A parked one, the first of its lane, stays so."""
        self._block(target, *_PARKED_KEYS).ops.append(["again", str(n), lane_of(lane), flag, due_ms, record])

    def settle(self, target: str, n: int, lane: str) -> None:
        """A parked one goes: the next of its lane has its turn."""
        self._block(target, *_PARKED_KEYS).ops.append(["settle", str(n), lane_of(lane)])

    def dead(self, target: str, item_id: str, at_ms: int, record: bytes) -> None:
        """Given up."""
        self._block(target, "d", "a").ops.append(["dead", item_id, at_ms, record])

    def revive(self, target: str, item_id: str, lane: str, due_ms: int, record: bytes, job: str) -> None:
        """One that was given up is parked again, and counted as queued by the job; nothing if it is not there."""
        block = self._block(target, *_PARKED_KEYS, "d", "a")
        block.ops.append(["revive", item_id, lane_of(lane), "w", due_ms, record, job])

    def wake(self, target: str) -> None:
        """Those to be tried again are due now: WAKE_MAX of them."""
        self._block(target, *_PARKED_KEYS).ops.append(["wake", WAKE_MAX])

    def log(self, target: str, entry: bytes) -> None:
        """An entry of the target's log."""
        self._block(target, "g").log.append(entry)
        self.count(target, "logged")

    def done(self, target: str, key: str, at_ms: int) -> None:
        """Remember a key as done."""
        self._block(target, "k").done[key] = at_ms

    def is_done(self, target: str, key: str) -> bool:
        """Whether this draft remembers it."""
        block = self._blocks.get(target)
        return block is not None and key in block.done

    def count(self, target: str, what: str, by: int = 1) -> None:
        """One of COUNTS."""
        self._counts[f"{target} {what}"] += by

    def mark(self, target: str, what: str, value: int) -> None:
        """One of MARKS."""
        self._marks[f"{target} {what}"] = value

    def job(self, job: str, at: str) -> None:
        """How far a job is in this partition."""
        self._jobs[f"{job} at"] = at

    def job_count(self, job: str, what: str, by: int = 1) -> None:
        """One of JOB_COUNTS."""
        self._job_counts[f"{job} {what}"] += by

    def remove(self, target: str) -> None:
        """Everything of a target that is no more."""
        self._blocks.pop(target, None)
        self.cursors.pop(target, None)
        block = self._block(target, *_ALL_KEYS)
        block.remove = True
        self._cursors_off.append(target)
        self._counts_off += [f"{target} {what}" for what in (*COUNTS, *MARKS)]

    def remove_job(self, job: str) -> None:
        self._jobs_off += [f"{job} {what}" for what in ("at", *JOB_COUNTS)]

    def pack(self, keys: PartitionKeys, now_ms: int, head: dict[str, Any]) -> tuple[list[str], list[Argument]]:
        """KEYS and ARGV of `deliver.lua`."""
        records: list[Argument] = [b""]

        def place(record: bytes) -> int:  # the server's msgpack knows no bytes
            records.append(record)
            return len(records)

        names = [keys.deliveries, keys.delivery_cursors, keys.delivered, keys.delivery_jobs]
        blocks = []
        for target, block in self._blocks.items():
            places: dict[str, int] = {}
            for what in sorted(block.keys):
                names.append(keys.delivery(what, target))
                places[what] = len(names)
            done: list[Any] = [part for key, at_ms in block.done.items() for part in (at_ms, key)]
            blocks.append(
                {
                    "t": target,
                    "k": places,
                    "ops": [[place(x) if isinstance(x, bytes) else x for x in op] for op in block.ops],
                    "log": [place(record) for record in block.log],
                    "done": done,
                    "remove": block.remove,
                }
            )
        body = {
            "now": now_ms,
            "done_before": now_ms - self._bounds.done_ms,
            "log_max": str(self._bounds.log_max),
            "dead_max": self._bounds.dead_max,
            "done_max": self._bounds.done_max,
            "cursors": _flat(self.cursors),
            "counts": _flat(self._counts),
            "marks": _flat(self._marks),
            "jobs": _flat(self._jobs),
            "job_counts": _flat(self._job_counts),
            "cursors_off": self._cursors_off,
            "counts_off": self._counts_off,
            "jobs_off": self._jobs_off,
            "blocks": blocks,
        }
        records[0] = _ENCODER.encode(head | body)
        return names, records


def lane_of(lane: str) -> str:
    """A lane as the index has it, whose members end at the first NUL."""
    return lane.replace("\0", "\\0")


def _flat(pairs: dict[str, Any]) -> list[str]:
    return [str(part) for pair in pairs.items() for part in pair]


class Owner(NamedTuple):
    """Who writes: a worker, its epoch in the partition, and for how long each write renews its lease."""

    name: str
    epoch: int
    lease_ms: int


async def claim(store: Store, keys: PartitionKeys, owner: str, lease_ms: int, stride: int) -> Taken:
    """Take a partition's deliveries over. Raises Held, Unavailable. `stride`: by how much the epoch is raised; drawn by
    lot, for a store that is rolled back forgets epochs."""
    answer = await store.run(_CLAIM, [keys.deliveries, keys.delivery_cursors], [owner, lease_ms, stride])
    if answer[0] == b"held":
        raise Held(f"{answer[1].decode()} delivers it for {answer[2]} ms more")
    flat = answer[3]
    cursors = {flat[i].decode(): flat[i + 1].decode() for i in range(0, len(flat), 2)}
    return Taken(int(answer[1]), int(answer[2]), cursors)


async def write(
    store: Store,
    keys: PartitionKeys,
    owner: Owner,
    number: int,
    draft: Draft,
    now_ms: int,
    *,
    slowest: int | None,
    release: bool = False,
) -> dict[str, Parked]:
    """Write a draft as the partition's write `number`, and renew the lease (or give it up). The same again is harmless.

    `slowest`: the number up to which every active target has read the feed; None: no target holds it. Answers for the
    targets whose parked items were touched. Raises Fenced; Unavailable (it may stand then: write the same again).
    """
    head: dict[str, Any] = {
        "epoch": str(owner.epoch),
        "owner": owner.name,
        "lease_ms": owner.lease_ms,
        "write": str(number),
        "expects": str(number - 1),
        "release": release,
        "slowest": "" if slowest is None else str(slowest),
    }
    names, args = draft.pack(keys, now_ms, head)
    what, why, *blocks = await store.run(_DELIVER, names, args)
    if what == b"fenced":
        raise Fenced(why.decode())
    return {target: Parked(*counts) for target, counts in zip(draft.targets, blocks, strict=True) if counts}


async def say_alive(store: Store, worker: str, lease_ms: int, *, leaving: bool = False) -> list[str]:
    """Tell the others; answers all that are alive. Raises Unavailable."""
    names: Iterable[bytes] = await store.run(_WORKERS, [DELIVERY_WORKERS], [worker, lease_ms, "1" if leaving else "0"])
    return [name.decode() for name in names]


async def slowest_target(store: Store, keys: PartitionKeys) -> int | None:
    """The number of the last transition that every active target has read, as the deliveries wrote it last; None: no
    target needs the feed. Raises Unavailable."""
    answer = await store.call("HGET", keys.deliveries, "slowest")
    return int(answer) if answer else None
