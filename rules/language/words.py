"""Puts a document into plain words: as parts located by their path, and as one sentence."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal

from rules.language.documents import (
    All,
    AnyOf,
    AtLeast,
    Condition,
    Duration,
    NoneOf,
    Not,
    Segment,
    Test,
    Window,
)
from rules.language.words_english import ENGLISH, Language, Voice
from rules.language.words_leaves import Said, leaf
from rules.language.words_values import length

Kind = Literal["group", "condition", "setting"]


@dataclass(frozen=True, slots=True)
class Part:
    """One line of a document in words.

    `at`: its path in the document. `depth`: how far it is indented (0 at the top). `kind`: a heading that the deeper
    parts after it belong to, one condition, or a setting (hold, timezone). `section`: the document's key it belongs to.
    """

    at: str
    text: str
    depth: int = 0
    kind: Kind = "condition"
    section: str = "enter"


def words(segment: Segment, language: Language = ENGLISH) -> list[Part]:
    """The document as lines: `enter`, `exit`, then its settings.

    >>> from rules.language.parse import parse_document
    >>> raw = {"id": "a", "enter": {"all": [{"tag": "vip"}, {"not": {"event": "purchase", "within": "7d"}}]}}
    >>> [(part.at, part.text, part.depth) for part in words(parse_document(raw))]  # doctest: +NORMALIZE_WHITESPACE
    [('enter', 'all of these', 0), ('enter.all[0]', 'has the tag "vip"', 1),
     ('enter.all[1]', 'did not buy in the last 7 days', 1)]
    """
    parts: list[Part] = []
    voice = language.of(segment)
    for section, root in (("enter", segment.enter), ("exit", segment.exit)):
        if root is not None:
            _collect(parts, root, voice, 0, section)
    return parts + _settings(segment, voice)


def sentence(segment: Segment, language: Language = ENGLISH) -> str:
    """The document as one sentence, `bought at least 3 times in the last 30 days and ...`."""
    told = []
    voice = language.of(segment)
    if segment.enter is not None:
        told.append(_said(segment.enter, voice).yes)
    if segment.exit is not None:
        told.append(voice.say("exit", what=_said(segment.exit, voice).yes))
    told += [part.text for part in _settings(segment, voice)]
    return voice.say("at_least.comma").join(told)


def texts(segment: Segment, language: Language = ENGLISH) -> dict[str, str]:
    """Every condition by its path in a phrase of its own: for reasons (`why`) and explained trees."""
    found: dict[str, str] = {}
    for root in (segment.enter, segment.exit, *(action.unless for action in segment.actions)):
        if root is not None:
            _tell(found, root, language.of(segment))
    return found


def _tell(found: dict[str, str], node: Condition, say: Voice) -> None:
    if isinstance(node, Not | All | AnyOf | NoneOf | AtLeast):
        found[node.at] = _heading(node, say)
        for inner in _inner(node):
            _tell(found, inner, say)
    else:
        found[node.at] = leaf(node, say).yes


Group = All | AnyOf | NoneOf | AtLeast | Not
_NAMES: dict[type, str] = {All: "all", AnyOf: "any", NoneOf: "none", AtLeast: "at_least", Not: "not"}


def _inner(node: Group) -> tuple[Condition, ...]:
    return (node.of,) if isinstance(node, Not) else node.of


def _heading(node: Group, say: Voice) -> str:
    return say.say(f"heading.{_NAMES[type(node)]}", n=node.n if isinstance(node, AtLeast) else 0)


def _collect(parts: list[Part], node: Condition, say: Voice, depth: int, section: str) -> None:
    if isinstance(node, Not) and not isinstance(node.of, Group):
        parts.append(Part(node.at, leaf(node.of, say).no, depth, "condition", section))
    elif isinstance(node, Group):
        parts.append(Part(node.at, _heading(node, say), depth, "group", section))
        for inner in _inner(node):
            _collect(parts, inner, say, depth + 1, section)
    else:
        parts.append(Part(node.at, leaf(node, say).yes, depth, "condition", section))


# One sentence


def _said(node: Condition, say: Voice) -> Said:
    """A condition and its opposite, in words."""
    if not isinstance(node, Group):
        return leaf(node, say)
    told = [_said(inner, say) for inner in _inner(node)]
    if isinstance(node, Not | NoneOf) and len(told) == 1:
        return Said(told[0].no, told[0].yes)
    if len(told) == 1:
        return told[0]
    if isinstance(node, AtLeast):
        yes = say.say("at_least", n=node.n, list=say.say("at_least.comma").join(each.yes for each in told))
    elif isinstance(node, NoneOf):
        yes = _joined(node, [each.no for each in told], say, "and", True)
        return Said(yes, _joined(node, [each.yes for each in told], say, "or", False))
    else:
        yes = _joined(node, [each.yes for each in told], say, "and" if isinstance(node, All) else "or", False)
    return Said(yes, say.say("not", what=yes))


def _joined(node: Group, told: list[str], say: Language, word: str, opposite: bool) -> str:
    """The inner conditions (or their opposites) with a word between, in brackets where it could mislead."""
    joined = ""
    for inner, text in zip(_inner(node), told, strict=True):
        shut = say.say("inner", what=text) if _needs_brackets(inner, word, opposite) else text
        joined = say.say(word, first=joined, last=shut) if joined else shut
    return joined


def _needs_brackets(node: Condition, word: str, opposite: bool) -> bool:
    while isinstance(node, Not | All | AnyOf | NoneOf | AtLeast) and len(_inner(node)) == 1:
        opposite ^= isinstance(node, Not | NoneOf)
        node = _inner(node)[0]
    if isinstance(node, AtLeast):
        return not opposite
    if isinstance(node, NoneOf):
        return word != ("or" if opposite else "and")
    if isinstance(node, All | AnyOf):
        return not opposite and word != ("and" if isinstance(node, All) else "or")
    return False


# Settings


def _settings(segment: Segment, say: Voice) -> list[Part]:
    parts = []
    if segment.list:
        parts.append(Part("list", say.say("list"), 0, "setting", "list"))
    for key, held in (("min_stay", segment.hold.min_stay), ("cooldown", segment.hold.cooldown)):
        if held is not None:
            text = say.say(f"hold.{key}", length=length(say, held))
            parts.append(Part(f"hold.{key}", text, 0, "setting", "hold"))
    if segment.timezone != "UTC" and _uses_calendar(segment):
        text = say.say("timezone", timezone=segment.timezone)
        parts.append(Part("timezone", text, 0, "setting", "timezone"))
    return parts


_CALENDAR_OPERATORS = ("age", "anniversary_in_next", "in_last", "in_next")


def _uses_calendar(node: Any) -> bool:
    """Whether anything in a document depends on its timezone."""
    if isinstance(node, tuple):
        return any(_uses_calendar(each) for each in node)
    if isinstance(node, Duration) and node.months:
        return True
    if isinstance(node, Window) and node.kind in ("between", "period"):
        return True
    if isinstance(node, Test) and node.op in _CALENDAR_OPERATORS:
        return True
    return is_dataclass(node) and any(_uses_calendar(getattr(node, each.name)) for each in fields(node))
