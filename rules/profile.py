"""A customer's profile: everything the service knows of one customer, as one compact versioned value."""

from __future__ import annotations

from typing import Any

import msgspec

from rules.aggregates.series import NO_DICT, NO_LIST, Series
from rules.events import Event
from rules.times import NEVER

FORMAT = 2

# Places in an attribute's, tag's and override's record.
VALUE, TS, RANK = range(3)
ACTION, OVERRIDE_TS, OVERRIDE_RANK, UNTIL, IN_FORCE, BY = range(6)  # BY only where it is known
SEQUENCE, CHANGED = range(2)


_SHORT = {  # as stored
    "format": "v",
    "customer_id": "c",
    "edition": "e",
    "layout": "y",
    "at": "t",
    "wake": "w",
    "features": "f",
    "levels": "l",
    "wakes": "k",
    "members": "m",
    "attributes": "a",
    "tags": "g",
    "overrides": "o",
    "delays": "d",
    "recent": "r",
    "waiting": "q",
}


class Profile(msgspec.Struct, omit_defaults=True, rename=_SHORT.get, gc=False):
    """Sparse: only what is not the default is stored. What few customers have is NO_DICT or NO_LIST for the others:
    whoever writes makes a dict or list first. All instants are ms.

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
    recent: bytes = b""
    members: dict[str, list[int]] = NO_DICT
    attributes: dict[str, list[Any]] = NO_DICT
    tags: dict[str, list[Any]] = NO_DICT
    overrides: dict[str, list[Any]] = NO_DICT
    delays: dict[str, int] = NO_DICT
    waiting: list[Event] = NO_LIST

    def is_member(self, segment: str) -> bool:
        state = self.members.get(segment)
        return state is not None and state[SEQUENCE] % 2 == 1

    def changes(self, segment: str, sequence: int, instant: int) -> None:
        """Notes the last change of a membership."""
        if not self.members:
            self.members = {}
        self.members[segment] = [sequence, instant]


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
    """Raises ValueError for a value of another format (the store is then to be rebuilt from the log)."""
    try:
        profile = _decoder.decode(data)
    except msgspec.ValidationError:
        found = _format_of(data)
        if found in (None, FORMAT):
            raise
        raise _refused(found) from None
    if profile.format != FORMAT:
        raise _refused(profile.format)
    return profile


def _format_of(data: bytes) -> int | None:
    """What a value says its format is; format 1 was an array, with that first."""
    value = msgspec.msgpack.decode(data, strict=False)
    found = value.get("v") if isinstance(value, dict) else value[0] if isinstance(value, list) and value else None
    return found if isinstance(found, int) else None


def _refused(found: int | None) -> ValueError:
    return ValueError(f"profile format {found}, this version reads {FORMAT}")
