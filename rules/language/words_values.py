"""Puts values, lengths of time, windows and comparisons into words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rules.language.documents import Comparison, Duration, Filter, Scalar, Test, Window
from rules.language.words_english import Language, Voice
from rules.limits import DAY_MS
from rules.times import format_instant, local_date, midnight

_WRITTEN = re.compile(r"([0-9]+)([a-z]+)")
_UNITS = (("w", 7 * DAY_MS), ("d", DAY_MS), ("h", 3_600_000), ("m", 60_000), ("s", 1000))
_VALUES_TOLD_MAX = 5
_TEXT_TOLD_MAX = 80


def value(say: Language, operand: Scalar) -> str:
    if isinstance(operand, bool):
        return say.say("value.true" if operand else "value.false")
    if isinstance(operand, str):
        cut = operand if len(operand) <= _TEXT_TOLD_MAX else operand[:_TEXT_TOLD_MAX] + "…"
        return say.say("value.text", value=cut)
    return number(operand)


def number(operand: int | float) -> str:
    """A number as one writes it: 1000, 0.5, 3 (not 3.0)."""
    return str(int(operand)) if operand == int(operand) and abs(operand) < 1e15 else str(operand)


def listing(say: Language, texts: Sequence[str], last: str) -> str:
    """`a, b or c` (`last`: "list.or" or "list.and")."""
    if len(texts) == 1:
        return texts[0]
    return say.say(last, first=say.say("list.comma").join(texts[:-1]), last=texts[-1])


def values(say: Language, operands: Sequence[Scalar]) -> str:
    """`"BR" or "PT"`; of a long list the first few and how many there are."""
    told = [value(say, operand) for operand in operands[:_VALUES_TOLD_MAX]]
    if len(operands) > _VALUES_TOLD_MAX:
        return say.say("value.many", count=len(operands), some=say.say("list.comma").join(told))
    return listing(say, told, "list.or")


def length(say: Language, duration: Duration, bare: bool = False) -> str:
    """`30 days`; `bare` leaves a single one uncounted ("in the last day")."""
    count, unit = _counted(duration)
    if count != 1:
        return say.say(f"unit.{unit}", n=count)
    return say.say(f"unit.{unit}.{'bare' if bare else 'one'}")


def _counted(duration: Duration) -> tuple[int, str]:
    """As the author wrote it, or in the largest unit that divides it."""
    written = _WRITTEN.fullmatch(duration.text)
    if written:
        return int(written[1]), written[2]
    if duration.months:
        return (duration.months // 12, "y") if duration.months % 12 == 0 else (duration.months, "mo")
    unit, ms = next((unit, ms) for unit, ms in _UNITS if duration.ms % ms == 0 or unit == "s")
    return duration.ms // ms, unit


def window(say: Voice, asked: Window) -> str:
    """When, with a blank before it; "" for ever."""
    if asked.kind == "ever":
        return ""
    if asked.kind == "period":
        return " " + say.say(f"window.{asked.period}")
    if asked.kind == "between":
        ends = [None if end is None else _date(end, say.timezone) for end in (asked.start_ms, asked.end_ms)]
        name = "since" if ends[1] is None else "until" if ends[0] is None else "between"
        return " " + say.say(f"window.{name}", start=ends[0], end=ends[1])
    within = asked.within and length(say, asked.within, bare=asked.before is None)
    before = asked.before and length(say, asked.before)
    return " " + say.say(f"window.{'band' if within and before else 'within' if within else 'before'}", **{
        "within": within, "before": before,
    })  # fmt: skip


def _date(ms: int, timezone: str) -> str:
    """A local midnight as its date, any other instant in full."""
    try:
        day = local_date(ms, timezone)
        return day.isoformat() if midnight(day, timezone) == ms else format_instant(ms)
    except OverflowError:  # the calendar's first and last days, shifted out of it by the timezone
        return format_instant(ms)


def tests(say: Language, comparison: Comparison) -> str:
    """What is said of a value: `is at least 100 and is less than 500`."""
    return listing(say, [_test(say, test) for test in comparison.tests], "list.and")


def _test(say: Language, test: Test) -> str:
    op, operand = test.op, test.operand
    if isinstance(operand, Comparison):
        return say.say(f"is.{op}", amount=amounts(say, operand))
    if isinstance(operand, Duration):
        return say.say(f"is.{op}", length=length(say, operand, bare=op in ("in_last", "in_next")))
    if isinstance(operand, tuple):
        return say.say(f"is.{op}", values=values(say, operand))
    if op == "exists":
        return say.say("is.exists" if operand else "is.missing")
    text = ".text" if op in ("gt", "gte", "lt", "lte") and isinstance(operand, str) else ""
    return say.say(f"is.{op}{text}", value=value(say, operand))


def amounts(say: Language, comparison: Comparison, table: str = "amount") -> str:
    """`at least 100 and less than 500`; of the table "times": `at least once`; of "ago": `more than 30 days ago`."""
    return listing(say, [_amount(say, test, table) for test in comparison.tests], "list.and")


def _amount(say: Language, test: Test, table: str) -> str:
    phrase, operand = f"{table}.{test.op}", test.operand
    if isinstance(operand, tuple):
        return say.say(phrase, values=values(say, operand))
    if isinstance(operand, Duration):
        return say.say(phrase, length=length(say, operand))
    assert not isinstance(operand, Comparison), "amounts are compared with numbers and lengths of time"
    if operand == 1 and f"{phrase}.one" in say.phrases:
        return say.say(f"{phrase}.one")
    return say.say(phrase, value=value(say, operand))


def filters(say: Language, asked: Sequence[Filter]) -> list[str]:
    return [say.say("attribute", path=each.path, tests=tests(say, each.comparison)) for each in asked]
