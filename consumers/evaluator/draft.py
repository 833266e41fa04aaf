"""What one commit will change, as it comes together record by record."""

from __future__ import annotations

import secrets
from collections import Counter, defaultdict
from typing import Literal

import structlog

from consumers.evaluator.hot import Kept
from consumers.evaluator.metrics import Metrics, Outcome
from consumers.log.port import NewRecord, Record
from consumers.state.commit import Commit, DeadLetter, Meta
from rules.profile import encode
from rules.tally import Tally
from rules.times import NEVER
from rules.transitions import Transition, render

_log = structlog.get_logger("evaluator")

_REASON_CHARS_MAX = 2_000


class Draft:
    """`touched`: customers whose profile may have changed, in the order met. `moved`: records of other partitions.

    `instead`: by place in `transitions`, what stands in the feed instead of what they render to (see `recovery`).
    """

    __slots__ = (
        "adopted", "dead", "instead", "moved", "new_customers", "tally", "touched", "transitions", "triggers", "types",
    )  # fmt: skip

    def __init__(self) -> None:
        self.touched: dict[str, Kept] = {}
        self.transitions: list[Transition] = []
        self.triggers: list[bytes] = []
        self.instead: dict[int, bytes] = {}
        self.adopted: list[tuple[Literal["differs", "absent"], Transition]] = []
        self.dead: list[DeadLetter] = []
        self.moved: list[NewRecord] = []
        self.tally = Tally()
        self.types: dict[str, int] = defaultdict(int)  # a Counter takes ten times as long to count one
        self.new_customers = 0

    def touch(self, customer_id: str, kept: Kept) -> None:
        if customer_id not in self.touched:
            self.touched[customer_id] = kept
            self.new_customers += kept.edition is None

    def reject(self, record: Record, reason: str) -> None:
        """A record that cannot be taken: it goes to the dead letters, the stream goes on."""
        self.dead.append(DeadLetter(reason[:_REASON_CHARS_MAX], record.offset, record.timestamp_ms, record.payload))

    def commit(self, before: Meta, definitions: bytes | None, edition: int) -> Commit:
        """The commit after `before`, whose position, clock and cursor the caller sets."""
        timers, timers_off, judged, profiles = {}, [], {}, {}
        for customer_id, kept in self.touched.items():
            profile = kept.profile
            profiles[customer_id] = encode(profile)
            if profile.wake != kept.wake:
                if profile.wake < NEVER:
                    timers[customer_id] = profile.wake
                else:
                    timers_off.append(customer_id)
            if profile.edition != kept.edition:
                judged[customer_id] = profile.edition
        return Commit(
            epoch=before.epoch,
            commit=before.commit + 1,
            token=secrets.token_hex(8),
            position=before.position,
            clock=before.clock,
            numbered=before.numbered,
            edition=edition,
            cursor=before.cursor,
            profiles=profiles,
            members=self._members(),
            timers=timers,
            timers_off=timers_off,
            judged=judged,
            transitions=self.rendered(),
            dead=self.dead,
            definitions=definitions,
            triggers=self.triggers,
            triggered=before.triggered,
        )

    def rendered(self) -> list[bytes]:
        """The transitions as the feed gets them."""
        return [self.instead.get(nth) or render(change) for nth, change in enumerate(self.transitions)]

    def _members(self) -> dict[str, tuple[dict[str, int], list[str]]]:
        """Per segment: who is a member after this, since when, and who no longer is."""
        last: dict[str, dict[str, Transition]] = {}
        for change in self.transitions:
            last.setdefault(change.segment, {})[change.customer_id] = change
        return {
            segment: (
                {customer: change.time for customer, change in changes.items() if change.entered},
                [customer for customer, change in changes.items() if not change.entered],
            )
            for segment, changes in last.items()
        }

    def stored(self) -> None:
        """The commit stands: the indexes say now what the profiles say."""
        for kept in self.touched.values():
            kept.wake, kept.edition = kept.profile.wake, kept.profile.edition

    def report(self, metrics: Metrics) -> None:
        """Tell the metrics what this commit was."""
        for event_type, count in self.types.items():
            metrics.events(event_type, "applied", count)
        tally = self.tally
        counts: dict[Outcome, int] = {
            "duplicate": tally.duplicates,
            "late": tally.late,
            "waiting": tally.waiting,
            "capped": tally.capped,
            "rejected": len(self.dead),
        }
        for outcome, count in counts.items():
            if count:
                metrics.events("", outcome, count)
        for why, change in self.adopted:
            metrics.adopted(why, 1)
            _log.error(
                "a published transition stands, though doing the log again gave something else",
                why=why,
                segment=change.segment,
                sequence=change.sequence,
            )
        if self.moved:
            metrics.moved(len(self.moved))
        kinds = Counter((change.segment, change.entered) for change in self.transitions)
        for (segment, entered), count in kinds.items():
            metrics.transitions(segment, "entered" if entered else "exited", count)
