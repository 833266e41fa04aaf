"""What is delivered, to whom, and how a call can end: the words that webhooks, actions and the engine share.

The engine (`worker.py`) reads the feed, asks each target which items are its own, calls in order per lane, retries by
the schedule, and keeps what is not done yet in the store. A target says what it wants and makes one call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

import msgspec

Kind = Literal["entered", "exited", "event", "run", "notice"]
"""A transition; an event of a member (`on: {event: T}`); a member, because a run goes over all; the service's own."""


class Item(msgspec.Struct, frozen=True, gc=False):
    """One reason for a call. `id` is the same for ever: the key by which whoever is called knows it again.

    A transition's is the transition's (`segment:customer:sequence`), an event's `segment:event:<type>:<event id>`
    with the customer between, a run's `run:<run>:<customer>`. `number`: its transition's running number in the
    partition, 0 for others. `sequence`: of the membership it speaks of. `time_ms`: when it took effect. `data`: JSON,
    for transitions their CloudEvent, for events of members `{"event": ..., "sequence": ...}`.
    """

    id: str
    kind: Kind
    partition: int
    customer_id: str
    segment: str
    cause: str = ""
    sequence: int = 0
    time_ms: int = 0
    number: int = 0
    data: bytes = b"{}"


class Turn(NamedTuple):
    """That a target wants an item, and when. Items of one `lane` are called one after the other, in the order they
    came, the next only when the one before is done or given up; "" for no order. `wait_ms` from the item's time on."""

    lane: str = ""
    wait_ms: int = 0


class Call(NamedTuple):
    """An item to be called: `key` is constant over all attempts, `attempt` counts from 1, `first_ms`: of the first."""

    item: Item
    key: str
    attempt: int
    first_ms: int


# -- how a call ends --------------------------------------------------------------------------------------------------


class Done(NamedTuple):
    """It was taken. `detail`: a short line for the log, without personal data or secrets; `status`: HTTP's, or 0."""

    detail: str = ""
    status: int = 0


class Dropped(NamedTuple):
    """It is not wanted any more (left meanwhile, `unless` holds, over the limit). `why` as people say it."""

    why: str


class Later(NamedTuple):
    """Not now (quiet hours): again at `at_ms`. No attempt is counted."""

    at_ms: int
    why: str


class Failed(NamedTuple):
    """It may go better another time. `retry_after_s`: what the other side asked for, if it did."""

    error: str
    status: int = 0
    retry_after_s: float | None = None


class Refused(NamedTuple):
    """It never will (the document is wrong, the other side says so): given up at once."""

    error: str
    status: int = 0


class Gone(NamedTuple):
    """The other side wants no more of anything (HTTP 410): the target is to be disabled."""

    error: str
    status: int = 410


Outcome = Done | Dropped | Later | Failed | Refused | Gone


class Target(Protocol):
    """One receiver: a subscription, or an action of a segment. Its attributes are read anew for every call.

    `id` is its name in the store (`[a-z0-9_./-]+`, e.g. `sub/01J...`, `act/lapsing-vip/call`). A target that is not
    `active` keeps its place in the feed and is called no more. One whose id is met for the first time begins at
    `begin`: a position of the feed, "now" or "start".
    """

    @property
    def id(self) -> str: ...

    @property
    def active(self) -> bool: ...

    @property
    def begin(self) -> str: ...

    @property
    def concurrency(self) -> int:
        """Calls open at once, of this process."""
        ...

    @property
    def per_second(self) -> float | None:
        """Calls begun a second, over all processes; None: as many as there are."""
        ...

    @property
    def batch_max(self) -> int:
        """Items in one call; 1 where each is a call of its own. Items of one lane are never in one call."""
        ...

    @property
    def remembers_done(self) -> bool:
        """Whether keys that are done are remembered for 30 days and not called again."""
        ...

    def key(self, item: Item) -> str:
        """The call's idempotency key, at most 300 characters."""
        ...

    def turn(self, item: Item) -> Turn | None:
        """Whether and when this item is to be called. Pure and quick: it is asked about every transition."""
        ...

    async def call(self, calls: Sequence[Call]) -> Sequence[Outcome]:
        """Calls 1 to `batch_max` items; one outcome each, in order. An exception is a Failed of all of them."""
        ...


class Targets(Protocol):
    """Where targets come from. `changed` is set whenever `current` may say something else."""

    @property
    def changed(self) -> asyncio.Event: ...

    @property
    def current(self) -> Mapping[str, Target]: ...

    async def start(self) -> None:
        """Read them; goes on watching in the background. Raises Unavailable."""
        ...

    async def close(self) -> None: ...

    async def ended(self, target_id: str, outcome: Outcome) -> None:
        """Every attempt's end, for whoever counts failing days or disables: quick, and never raises."""
        ...
