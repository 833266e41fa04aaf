"""The commit as a typed function: everything a batch changes in a partition, in one script (`commit.lua`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from consumers.log.port import START, Offset
from consumers.state.keys import SHOWN_CHANNEL, PartitionKeys
from consumers.state.store import Argument, Run, Script, Store
from rules.errors import SegmentdError

OUTBOX_ENTRIES_MAX = 1_000_000
"""Commits with transitions that the feed keeps at most; what bounds its size is `trim_out`, by transitions."""
DEAD_LETTERS_MAX = 100_000

_COMMIT, _TAKEOVER, _SHOW, _RELEASE, _TRIM_OUT, _TRIM_TRIGGERS = (
    Script(name) for name in ("commit", "takeover", "show", "release", "trim_out", "trim_triggers")
)


class Reload(SegmentdError):
    """The partition is not as its owner believes (another owner, a store that was rolled back): load it again."""


class Held(SegmentdError):
    """Another owner is alive."""


class DeadLetter(msgspec.Struct, frozen=True, array_like=True):
    """A record that could not be taken, and why. `offset` and `timestamp_ms` are the log's."""

    reason: str
    offset: Offset
    timestamp_ms: int
    raw: bytes


class Meta(msgspec.Struct):
    """A partition's own small state. `numbered`: transitions ever written; `cursor`: last customer merged by a
    collection (see `evaluator/collecting`), "" for none. `trouble`: why its owner does not evaluate it, "" for nothing.

    Where a relay publishes the outbox (see `consumers/relay`): `relays` are the transactional ids, separated by blanks,
    that may still have a transaction open for this partition; `relayed` says how far the topic is, as of some time ago.
    While `lost_to` is above 0, the store had been rolled back: commits above `lost_from` up to `lost_to` were published
    and come again, until the log's `lost_position`. `rebuild` 1: an empty store may be filled from the log anew.
    """

    epoch: int = 0
    owner: str = ""
    commit: int = 0
    shown: int = 0
    shown_position: Offset = START
    position: Offset = START
    clock: int = 0
    numbered: int = 0
    triggered: int = 0  # triggers ever written
    edition: int = 0
    cursor: str = ""
    trouble: str = ""
    relays: str = ""
    relayed: str = ""
    lost_from: int = 0
    lost_to: int = 0
    lost_position: Offset = START
    rebuild: int = 0

    @classmethod
    def parse(cls, flat: list[bytes]) -> Meta:
        """From HGETALL's answer; what is missing has its default."""
        texts = {flat[i].decode(): flat[i + 1].decode() for i in range(0, len(flat), 2)}
        known = {name: texts[name] for name in cls.__struct_fields__ if name in texts}
        return msgspec.convert(known, cls, strict=False)


class Commit(msgspec.Struct):
    """What one commit changes. Scores are ms, or editions in `judged`; `members` per segment: who is, and who is not.

    `transitions` are rendered, in order, and so are `triggers`. `definitions` None: unchanged. `commit` is the number
    this one gets.
    """

    epoch: int
    commit: int
    token: str
    position: Offset
    clock: int
    numbered: int  # before this commit
    edition: int
    cursor: str
    profiles: dict[str, bytes]
    members: dict[str, tuple[dict[str, int], list[str]]]
    timers: dict[str, int]
    timers_off: list[str]
    judged: dict[str, int]
    transitions: list[bytes]
    dead: list[DeadLetter]
    definitions: bytes | None
    triggers: list[bytes] = []
    triggered: int = 0  # before this commit
    nearest: int = 1  # how many of the earliest timers to tell


class Timers(msgspec.Struct, frozen=True):
    """A partition's earliest timers, as ZRANGE tells them: {customer, ms, ...}. Read no further than asked."""

    flat: Sequence[bytes] = ()

    @property
    def first(self) -> int | None:
        """The earliest (ms), None without any."""
        return int(float(self.flat[1])) if self.flat else None

    def before(self, clock: int) -> list[str]:
        """Whose come before `clock`, the earliest first."""
        found = []
        for at in range(1, len(self.flat), 2):
            if float(self.flat[at]) >= clock:
                break
            found.append(self.flat[at - 1].decode())
        return found


class Committed(msgspec.Struct, frozen=True):
    """`nearest`: as many of the partition's timers as were asked for. `again`: it had been written before."""

    again: bool
    nearest: Timers
    customers: int


class OutboxEntry(msgspec.Struct, frozen=True, array_like=True):
    """A commit's transitions: the first one's number in its partition (from 1), the clock, the CloudEvents.

    `triggers`: what actions wait for besides (`rules.triggers`): not numbered, not published, in no reader's feed. A
    commit may have these alone; then `first_number` is that of the next transition.
    """

    first_number: int
    clock: int
    transitions: list[bytes]
    triggers: list[bytes] = []


_ENCODER = msgspec.msgpack.Encoder()


def _flat(scores: dict[str, int]) -> list[Any]:
    """[score, member, ...] as ZADD wants it."""
    flat: list[Any] = [None] * (2 * len(scores))
    flat[0::2] = scores.values()
    flat[1::2] = scores.keys()
    return flat


def _arguments(keys: PartitionKeys, commit: Commit, show_as: int | None) -> tuple[list[str], list[Argument]]:
    """KEYS and ARGV of `commit.lua`."""
    out = b""
    if commit.transitions or commit.triggers:
        out = _ENCODER.encode(OutboxEntry(commit.numbered + 1, commit.clock, commit.transitions, commit.triggers))
    definitions = commit.definitions or b""
    meta = {
        "position": commit.position,
        "clock": commit.clock,
        "numbered": commit.numbered + len(commit.transitions),
        "edition": commit.edition,
        "cursor": commit.cursor,
    }
    triggered = commit.triggered + len(commit.triggers)
    if triggered:
        meta["triggered"] = triggered
    head = _ENCODER.encode(
        {
            "epoch": str(commit.epoch),
            "expects": str(commit.commit - 1),
            "commit": str(commit.commit),
            "token": commit.token,
            "sizes": [len(profile) for profile in commit.profiles.values()],
            "members": [[_flat(now), gone] for now, gone in commit.members.values()],
            "timers": _flat(commit.timers),
            "timers_off": commit.timers_off,
            "nearest": commit.nearest,
            "judged": _flat(commit.judged),
            "out_size": len(out),
            "out_max": str(OUTBOX_ENTRIES_MAX),
            "trigger": str(commit.triggered + 1) if triggered else False,
            "dead": [[len(x.raw), x.reason, f"{x.offset}@{x.timestamp_ms}"] for x in commit.dead],
            "dead_max": str(DEAD_LETTERS_MAX),
            "defs_size": len(definitions),
            "show": None if show_as is None else [str(commit.position), SHOWN_CHANNEL, str(show_as)],
            "meta": [str(part) for pair in meta.items() for part in pair],
        }
    )
    blob = b"".join([*commit.profiles.values(), out, *(letter.raw for letter in commit.dead), definitions])
    names = [keys.meta, keys.timers, keys.judged, keys.out, keys.dead, keys.definitions]
    names += [keys.members(segment) for segment in commit.members]
    prefix = keys.profile_prefix
    names += [prefix + customer_id for customer_id in commit.profiles]
    return names, [head, blob]


async def apply(store: Store, keys: PartitionKeys, commit: Commit, *, show_as: int | None = None) -> Committed:
    """Write it, back when it is on the server's disk; then `show` it. The same again is harmless.

    `show_as` (the partition's number): do not wait for the disk, and show it in the same step. Raises Reload,
    Unavailable (then it may stand: repeat it).
    """
    run = Run(_COMMIT, *_arguments(keys, commit, show_as))
    (answer,) = await store.run_durably([run]) if show_as is None else [await store.run(*run)]
    what, why, nearest, customers = answer
    if what == b"reload":
        raise Reload(why.decode())
    return Committed(again=what == b"again", nearest=Timers(nearest), customers=int(customers))


async def take_over(
    store: Store, keys: PartitionKeys, owner: str, lease_ms: int, force: bool, relay: str = "", stride: int = 1
) -> Meta:
    """Become the owner; everything earlier owners wrote is durable then. Raises Held (not when forced), Unavailable.

    `relay`: the own transactional id, which is added to `Meta.relays` in the same step. `stride`: by how much the epoch
    is raised. A store that is rolled back forgets epochs: drawn by lot, two owners do not meet at the same number.
    """
    args: list[Argument] = [owner, lease_ms, "1" if force else "0", relay, stride]
    (answer,) = await store.run_durably([Run(_TAKEOVER, [keys.meta], args)])
    if answer[0] == b"held":
        raise Held(f"owned by {answer[1].decode()}")
    return Meta.parse(answer[1])


async def show(store: Store, keys: PartitionKeys, partition: int, meta: Meta) -> None:
    """Let the feed's readers see a durable commit, and say that the owner is alive, and its trouble. Raises Reload."""
    args: list[Argument] = [meta.epoch, meta.commit, SHOWN_CHANNEL, partition, meta.trouble]
    why = await store.run(_SHOW, [keys.meta], args)
    if why:
        raise Reload(why.decode())


async def release(store: Store, keys: PartitionKeys, epoch: int) -> None:
    """Give the partition back, if it is still ours."""
    await store.run(_RELEASE, [keys.meta], [epoch])


async def trim_triggers(store: Store, keys: PartitionKeys, oldest_trigger: int, needed_number: int) -> None:
    """Let go of commits before this trigger, transitions too, unless one from `needed_number` on would go."""
    await store.run(_TRIM_TRIGGERS, [keys.out], [oldest_trigger, needed_number])


async def trim_out(store: Store, keys: PartitionKeys, oldest_number: int) -> None:
    """Let go of transitions before `oldest_number` (a whole commit at a time). Readers further back are told."""
    await store.run(_TRIM_OUT, [keys.out], [oldest_number])
