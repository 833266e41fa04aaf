"""The types of a parsed segment document: what the language can say, and nothing about how it is judged.

Every node carries `at`, its path in the author's document (`enter.all[1]`), so that errors, `why` and words can
point back at it. `at` does not count in equality: two nodes that ask the same are equal wherever they stand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

from rules.actions import Action

Scalar = str | int | float | bool
"""A value in a document. A number, a string and a boolean never equal one another (`1`, `"1"`, `true`)."""


@dataclass(frozen=True, slots=True)
class Duration:
    """Either exact (`ms` > 0, `months` == 0) or calendar (`months` > 0, `ms` == 0; a year is 12 months)."""

    ms: int = 0
    months: int = 0
    text: str = field(default="", compare=False)  # as written: "30d"


@dataclass(frozen=True, slots=True, eq=False)
class Test:
    """One operator with its operand. `eq: 1`, `eq: "1"` and `eq: true` are three different tests, `1` and `1.0` one.

    Operands by operator: `eq ne` Scalar · `in not_in` tuple of Scalar · `gt gte lt lte` number or string (Duration
    under `since_first`/`since_last`) · `contains starts_with ends_with` Scalar/str · `matches` str (RE2) · `exists`
    bool · `size age` Comparison · `in_last in_next anniversary_in_next` Duration.
    """

    __test__ = False  # not a pytest class

    op: str
    operand: Scalar | tuple[Scalar, ...] | Duration | Comparison

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Test) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        """What makes two tests the same; Python alone would call `True` and `1` equal."""
        values = self.operand if isinstance(self.operand, tuple) else (self.operand,)
        return self.op, self.operand, tuple(isinstance(value, bool) for value in values)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Several tests that must all hold, in the author's order."""

    tests: tuple[Test, ...]


@dataclass(frozen=True, slots=True)
class Filter:
    """`where: {path: ...}`: the short forms are already `eq` (a scalar) and `in` (a list)."""

    path: str
    comparison: Comparison
    at: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Window:
    """Which events count at an instant. `ever` uses no other field.

    `within` alone, `within`+`before` (a band), or `before` alone: kind `rolling` with `within`/`before`.
    `between`: `start_ms` inclusive, `end_ms` exclusive, None is open (dates already turned into instants).
    `period`: `period` is the name.
    """

    kind: Literal["ever", "rolling", "between", "period"] = "ever"
    within: Duration | None = None
    before: Duration | None = None
    start_ms: int | None = None
    end_ms: int | None = None
    period: str | None = None


MeasureKind = Literal["count", "sum", "avg", "min", "max", "distinct", "first", "last", "since_first", "since_last"]


@dataclass(frozen=True, slots=True)
class Measure:
    """What is asked of the events that count. `of` is None for count and since_*. `comparison` is None inside
    `ratio`/`difference` only. An event node without a measure has count gte 1."""

    kind: MeasureKind
    of: str | None = None
    comparison: Comparison | None = None


@dataclass(frozen=True, slots=True)
class Follow:
    """`followed_by` (`negated` False) or `not_followed_by` (True). `match`: pairs (path of e, path of f)."""

    negated: bool
    events: tuple[str, ...]
    where: tuple[Filter, ...] = ()
    items: tuple[Filter, ...] = ()
    within: Duration | None = None
    match: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class EventNode:
    events: tuple[str, ...]
    measure: Measure
    window: Window = Window()
    where: tuple[Filter, ...] = ()
    items: tuple[Filter, ...] = ()  # paths relative to one item ("category", "total")
    follow: Follow | None = None
    at: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class AttributeNode:
    path: str
    comparison: Comparison
    at: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class TagNode:
    """All three parts must hold; unused ones are empty. `tag: x` is `all: (x,)`."""

    any: tuple[str, ...] = ()
    all: tuple[str, ...] = ()
    none: tuple[str, ...] = ()
    at: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class SegmentNode:
    segment: str
    for_: Duration | None = None
    at: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class PairNode:
    """`ratio: [left, right]` or `difference: [left, right]`; both measures have no comparison."""

    kind: Literal["ratio", "difference"]
    left: EventNode
    right: EventNode
    comparison: Comparison
    at: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class SampleNode:
    percent: Fraction  # exact, 0 <= percent <= 100
    salt: str  # the segment's id when the author gave none
    at: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class All:
    of: tuple[Condition, ...]
    at: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class AnyOf:
    of: tuple[Condition, ...]
    at: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class NoneOf:
    of: tuple[Condition, ...]
    at: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Not:
    of: Condition
    at: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class AtLeast:
    n: int
    of: tuple[Condition, ...]
    at: str = field(default="", compare=False)


Leaf = EventNode | AttributeNode | TagNode | SegmentNode | PairNode | SampleNode
Condition = All | AnyOf | NoneOf | Not | AtLeast | Leaf


@dataclass(frozen=True, slots=True)
class Hold:
    min_stay: Duration | None = None
    cooldown: Duration | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A whole document. `enter` is None only with `list` True (members by hand only: the rule never holds)."""

    id: str
    enter: Condition | None
    exit: Condition | None = None
    hold: Hold = Hold()
    timezone: str = "UTC"
    name: str = ""
    about: str = ""
    list: bool = False
    actions: tuple[Action, ...] = ()
