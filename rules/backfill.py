"""Reading the log again for features that were not collected before (or not so far back).

The records before a definition are folded, customer by customer, into series of the new features alone, under the
same rules of dedup as the first time; then each customer's are merged with what was folded live since.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rules.aggregates.series import Series
from rules.events import Event
from rules.plan import Plan
from rules.profile import Profile
from rules.recent import seen

_STILL = 1
"""What runs out at the very instant (ms) of the activation is seen the moment before it, and must be there still."""


class Collector:
    """Collects series for `feature_keys` of a plan. Feed it the log from its start, in order, up to (not including)
    the definition record: records after that are folded live."""

    def __init__(self, plan: Plan, feature_keys: Iterable[int], at: int | None = None) -> None:
        """`plan` folds the features live since the clock `at` (default: the plan's own)."""
        self._plan = plan
        self._at = plan.at if at is None else at
        self._keys = frozenset(feature_keys)
        self._series: dict[str, dict[int, Series]] = {}
        self._recent: dict[str, bytes] = {}
        self._waiting: dict[str, list[Event]] = {}

    def add(self, event: Event, clock: int) -> None:
        """One record and the partition's clock (ms) after reading it."""
        if event.id:
            recent = seen(self._recent.get(event.customer_id, b""), event.type, event.id, clock)
            if recent is None:
                return
            self._recent[event.customer_id] = recent
        for waited in self._waiting.pop(event.customer_id, ()) if self._waiting else ():
            self._hold_or_fold(waited, clock)
        self._hold_or_fold(event, clock)

    def _hold_or_fold(self, event: Event, clock: int) -> None:
        if event.ts > clock and event.ts >= self._at:
            # Folded live, unless a record of the same customer is judged at its very instant before the definition.
            self._waiting.setdefault(event.customer_id, []).append(event)
            return
        index = self._plan.by_type.get(event.type)
        if index is None:
            return
        features = list(index.plain)
        for read, table in index.by_value:
            value = read(event.properties)
            if isinstance(value, str):
                features += table.get(value, ())
        for feature in features:
            if feature.key in self._keys and (feature.accepts is None or feature.accepts(event.properties)):
                series = self._series.setdefault(event.customer_id, {}).setdefault(feature.key, Series())
                # Folded as of its own time if that is still to come: it is over by the time anybody is judged by it.
                feature.add(series, event, max(clock, event.ts) - _STILL)

    def customers(self) -> Iterator[str]:
        """Those who have something to merge, in order of id."""
        return iter(sorted(customer for customer, series in self._series.items() if series))

    def merge_into(self, profile: Profile, plan: Plan, now: int) -> None:
        """Puts a customer's collected series into the profile, beside what was folded live. Once only."""
        for key, older in self._series.pop(profile.customer_id, {}).items():
            feature = plan.features[key]
            series = profile.features.setdefault(key, Series())
            feature.merge(series, older, now - _STILL)
