"""A customer's profile: everything the service knows of one customer, as one compact versioned value."""

from __future__ import annotations

from typing import Any

import msgspec

from rules.aggregates.series import Series
from rules.events import Event
from rules.times import NEVER

FORMAT = 1

# Places in an attribute's, tag's and override's record.
VALUE, TS, RANK = range(3)
ACTION, OVERRIDE_TS, OVERRIDE_RANK, UNTIL, IN_FORCE, BY = range(6)  # BY only where it is known
SEQUENCE, CHANGED = range(2)


class Profile(msgspec.Struct, array_like=True, gc=False):
    """Sparse: only what is not the default is here. All instants are ms.

    `layout` names the compiled plan that `levels` and `wakes` (both by slot) belong to; `edition` the definitions the
    customer was last judged by; `at` the instant of that. `wake` is the nearest of all wakes.
    `features` by feature key. `attributes` {name: [value or None, ts, rank]}, `tags` {tag: [there, ts, rank]}.
    `members` {segment: [sequence, time of the last change]}, odd sequences are members.
    `overrides` {segment: [action, ts, rank, until, was in force when last judged, who did it (only if known)]}.
    `delays` {segment: due} for holds and overrides. `recent`: ids, see `rules.recent`. `waiting`: events of the future.
    """

    format: int
    customer_id: str
    edition: int
    layout: int
    at: int
    wake: int = NEVER
    features: dict[int, Series] = msgspec.field(default_factory=dict)
    levels: dict[int, int] = msgspec.field(default_factory=dict)
    wakes: dict[int, int] = msgspec.field(default_factory=dict)
    members: dict[str, list[int]] = msgspec.field(default_factory=dict)
    attributes: dict[str, list[Any]] = msgspec.field(default_factory=dict)
    tags: dict[str, list[Any]] = msgspec.field(default_factory=dict)
    overrides: dict[str, list[Any]] = msgspec.field(default_factory=dict)
    delays: dict[str, int] = msgspec.field(default_factory=dict)
    recent: bytes = b""
    waiting: list[Event] = msgspec.field(default_factory=list)

    def is_member(self, segment: str) -> bool:
        state = self.members.get(segment)
        return state is not None and state[SEQUENCE] % 2 == 1


def done_by(override: list[Any]) -> str | None:
    """Who set an override by hand, if that is known."""
    return override[BY] if len(override) > BY else None


NEW = -1
"""The edition of a customer whom nothing was judged for yet."""


def new_profile(customer_id: str) -> Profile:
    """A customer nobody has heard of; the first `step` judges every segment."""
    return Profile(FORMAT, customer_id, NEW, 0, -NEVER)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Profile)


def encode(profile: Profile) -> bytes:
    return _encoder.encode(profile)


def decode(data: bytes) -> Profile:
    """Raises ValueError for a value of another format."""
    profile = _decoder.decode(data)
    if profile.format != FORMAT:
        raise ValueError(f"profile format {profile.format}, this version reads {FORMAT}")
    return profile
