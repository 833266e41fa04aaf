"""Sources: which topics the intake reads, and how a record of theirs becomes an event of ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

GROUP = "segmentd-intake"
"""The consumer group that shares the partitions of all sources that name no other."""

TsUnit = Literal["rfc3339", "s", "ms"]
"""How a source writes its times: RFC 3339 text, or a number of seconds or milliseconds since 1970 (UTC)."""

KEY = "$key"
"""In place of an expression: the record's key, as text."""

DEFAULT_TOPICS = ("events.purchase", "events.page_view", "events.email_open", "events.cart", "events.profile")
_PREFIX = "events."


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled JMESPath expression. `find(value)` may raise whatever the value and the expression give cause for."""

    text: str
    find: Callable[[Any], Any] = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Mapping:
    """Where each field of ours stands in theirs. None: not mapped. `properties`: the object that the properties begin
    with; `each`: single properties, by their path (`("set", "country")`), set over it."""

    customer_id: Expression
    id: Expression | None = None
    ts: Expression | None = None
    type: Expression | None = None
    properties: Expression | None = None
    each: tuple[tuple[tuple[str, ...], Expression], ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """A topic to read. `mapping` None: its records are in native form.

    `type`: the type of its events; in native form, of those that name none. `where`: records for which it finds
    nothing, false or an empty value are none of ours, and skipped.
    """

    topic: str
    type: str | None = None
    mapping: Mapping | None = None
    ts_unit: TsUnit = "rfc3339"
    where: Expression | None = None
    group: str = GROUP


def default_sources() -> tuple[Source, ...]:
    """The contract's: in native form, where the topics exist."""
    return tuple(Source(topic, topic.removeprefix(_PREFIX)) for topic in DEFAULT_TOPICS)


def by_group(sources: Sequence[Source]) -> dict[str, list[str]]:
    """The topics of each consumer group."""
    found: dict[str, list[str]] = {}
    for source in sources:
        found.setdefault(source.group, []).append(source.topic)
    return found
