"""What a segment sets off: its actions, as their author wrote them (contract §6). Nothing here calls anybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # documents hold actions, actions hold conditions
    from rules.language.documents import Condition, Duration

Occasion = Literal["entered", "exited", "member"]

CAUSES = ("event", "clock", "definition", "backfill", "manual", "merge", "correction", "erasure")
CAUSES_LEFT_OUT = ("backfill", "definition")
"""What `on: entered | exited` ignores unless `causes` says otherwise: an edit must not mail a million people."""


@dataclass(frozen=True, slots=True)
class OnEvent:
    """Each event of these types of somebody who is a member when it is judged."""

    events: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Every:
    """Each present member, by calendar: at minute `at` of the local day (see `rules.schedules`)."""

    every: Duration
    at: int = 0


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many calls about one customer within `per`."""

    per_customer: int
    per: Duration


@dataclass(frozen=True, slots=True)
class Rate:
    """So many calls a second, minute or hour."""

    count: int
    unit: Literal["s", "m", "h"]

    @property
    def per_second(self) -> float:
        return self.count / {"s": 1, "m": 60, "h": 3600}[self.unit]


@dataclass(frozen=True, slots=True)
class QuietHours:
    """No calls from minute `begin` of the local day until minute `end`, which may be the next day's."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Action:
    """One action. `use`: `connector.call`; `with_`: what it is called with, templates and all (JSON values).

    `causes`: of `on: entered | exited`, those it listens to; every cause for all others. `unless`: judged when the
    call is made. `at`: its path in the document.
    """

    id: str
    on: Occasion | OnEvent | Every
    use: str
    with_: Mapping[str, Any] = field(default_factory=dict, hash=False)
    causes: tuple[str, ...] = CAUSES
    wait: Duration | None = None
    unless: Condition | None = None
    limit: Limit | None = None
    rate: Rate | None = None
    quiet_hours: QuietHours | None = None
    at: str = field(default="", compare=False)

    @property
    def connector(self) -> str:
        return self.use.partition(".")[0]

    @property
    def call(self) -> str:
        return self.use.partition(".")[2]
