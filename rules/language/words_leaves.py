"""Puts the leaves of a condition into words: each one said, and its opposite said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import singledispatch

from rules.language.documents import (
    AttributeNode,
    Comparison,
    EventNode,
    Filter,
    Follow,
    Leaf,
    PairNode,
    SampleNode,
    SegmentNode,
    TagNode,
    Test,
)
from rules.language.words_english import Deed, Voice
from rules.language.words_values import amounts, filters, length, listing, number, tests, value, window

_OPPOSITE = {
    "gte": "lt", "lt": "gte", "gt": "lte", "lte": "gt", "eq": "ne", "ne": "eq", "in": "not_in", "not_in": "in",
}  # fmt: skip
_ALWAYS_A_NUMBER = ("count", "sum", "distinct")  # over no events 0: their opposite is the opposite comparison
_MISSING_IS_DIFFERENT = ("eq", "ne", "in", "not_in")  # of an attribute: the same


@dataclass(frozen=True, slots=True)
class Said:
    """A condition in words, and its opposite."""

    yes: str
    no: str


@singledispatch
def leaf(node: Leaf, say: Voice) -> Said:
    raise AssertionError(f"no words for {type(node).__name__}")


@leaf.register
def _event(node: EventNode, say: Voice) -> Said:
    said = _event_said(node, say)
    turned = _turned(node.measure.comparison, _OPPOSITE) if node.measure.kind in _ALWAYS_A_NUMBER else None
    if turned is None:
        return _plain(say, said)
    return Said(said, _event_said(replace(node, measure=replace(node.measure, comparison=turned)), say))


def _event_said(node: EventNode, say: Voice) -> str:
    kind, compared = node.measure.kind, node.measure.comparison
    assert compared is not None, "outside of pairs every measure is compared"
    when = window(say, node.window)
    if kind == "count":
        return _counted(node, compared, say, when)
    if kind in ("since_first", "since_last"):
        ago = amounts(say, compared, "ago")
        return say.say(f"event.{kind}", what=_deeds(say, node, "did"), when=when, ago=ago)
    if kind in ("first", "last"):
        told = tests(say, compared)
        return say.say(f"event.{kind}", of=node.measure.of, what=_deeds(say, node, "one"), when=when, tests=told)
    amount = amounts(say, compared)
    return say.say(f"event.{kind}", of=node.measure.of, what=_deeds(say, node, "many"), when=when, amount=amount)


def _counted(node: EventNode, compared: Comparison, say: Voice, when: str) -> str:
    """How often: "bought", "never bought", "did not buy today", "bought at least 3 times"."""
    never = _is_none(compared)
    if never and not when:
        return say.say("event.never", what=_deeds(say, node, "did"))
    phrase, form = ("event.not", "do") if never else ("event.did", "did")
    times = "" if never or _is_any(compared) else " " + amounts(say, compared, "times")
    return say.say(phrase, what=_deeds(say, node, form), times=times, when=when)


def _is_any(compared: Comparison) -> bool:
    """`count: {gte: 1}`: at least one, which needs no number."""
    return compared.tests in ((Test("gte", 1),), (Test("gt", 0),), (Test("ne", 0),))


def _is_none(compared: Comparison) -> bool:
    return compared.tests in ((Test("eq", 0),), (Test("lt", 1),), (Test("lte", 0),))


def _turned(compared: Comparison | None, opposites: dict[str, str]) -> Comparison | None:
    """The opposite of a single test; None where it is not one test, or has no opposite of its own."""
    if compared is None or len(compared.tests) != 1 or compared.tests[0].op not in opposites:
        return None
    test = compared.tests[0]
    return Comparison((Test(opposites[test.op], test.operand),))


def _deeds(say: Voice, node: EventNode, form: str) -> str:
    """The events in one form ("bought or got a refund"), with their filters and what follows in brackets."""
    what, told = _named(say, node, form)
    if node.follow:
        told.append(_then(say, node.follow))
    return say.say("event.filtered", what=what, filters=say.say("list.comma").join(told)) if told else what


def _named(say: Voice, node: EventNode | Follow, form: str) -> tuple[str, list[str]]:
    """The events in one form, and what is asked of their fields."""
    where, known = _spoken_filter(say, node)
    told = filters(say, where)
    if node.items:
        told.append(say.say("event.items", filters=listing(say, filters(say, node.items), "list.and")))
    return listing(say, [getattr(each, form) for each in known], "list.or"), told


def _spoken_filter(say: Voice, node: EventNode | Follow) -> tuple[Sequence[Filter], list[Deed]]:
    """A cart event of one action has words of its own; its filter then need not be said."""
    if node.events == ("cart",):
        for each in node.where:
            test = each.comparison.tests[0]
            if each.path == "action" and len(each.comparison.tests) == 1 and test.op == "eq":
                spoken = f"cart.{test.operand}"
                if isinstance(test.operand, str) and spoken in say.deeds:
                    return [other for other in node.where if other is not each], [say.deeds[spoken]]
    known = [say.deeds[event] for event in node.events if event in say.deeds]
    others = [say.say("event.name", event=event) for event in node.events if event not in say.deeds]
    return node.where, known + ([say.custom(listing(say, others, "list.or"))] if others else [])


def _then(say: Voice, follow: Follow) -> str:
    """`not followed within 1 hour by a purchase where product_id is the same`."""
    what, told = _named(say, follow, "a")
    for ours, theirs in follow.match:
        same = ours == theirs
        told.append(say.say("then.same", path=ours) if same else say.say("then.equal", ours=ours, theirs=theirs))
    if told:
        what = say.say("then.where", what=what, filters=listing(say, told, "list.and"))
    phrase = "then.not_followed" if follow.negated else "then.followed"
    if follow.within is None:
        return say.say(phrase, what=what)
    return say.say(f"{phrase}.within", what=what, within=length(say, follow.within))


@leaf.register
def _pair(node: PairNode, say: Voice) -> Said:
    left, right = (_side(each, say) for each in (node.left, node.right))
    return _plain(say, say.say(f"pair.{node.kind}", left=left, right=right, tests=tests(say, node.comparison)))


def _side(node: EventNode, say: Voice) -> str:
    return say.say(
        f"side.{node.measure.kind}",
        of=node.measure.of,
        what=_deeds(say, node, "many"),
        when=window(say, node.window),
    )


@leaf.register
def _attribute(node: AttributeNode, say: Voice) -> Said:
    said = say.say("attribute", path=node.path, tests=tests(say, node.comparison))
    turned = _turned(node.comparison, {op: _OPPOSITE[op] for op in _MISSING_IS_DIFFERENT})
    if turned is None and [test.op for test in node.comparison.tests] == ["exists"]:
        turned = Comparison((Test("exists", not node.comparison.tests[0].operand),))
    return Said(said, say.say("attribute", path=node.path, tests=tests(say, turned))) if turned else _plain(say, said)


@leaf.register
def _tag(node: TagNode, say: Voice) -> Said:
    if len(node.all) == 1 and not node.any and not node.none:
        name = value(say, node.all[0])
        return Said(say.say("tag.one", tags=name), say.say("tag.one.not", tags=name))
    asked = (("any", node.any, "list.or"), ("all", node.all, "list.and"), ("none", node.none, "list.or"))
    told = []
    for kind, names, last in asked:
        if names:
            phrase = "tag.one" if kind == "all" and len(names) == 1 else f"tag.{kind}"
            told.append(say.say(phrase, tags=listing(say, [value(say, name) for name in names], last)))
    return _plain(say, listing(say, told, "list.and"))


@leaf.register
def _segment(node: SegmentNode, say: Voice) -> Said:
    phrase = "segment.for" if node.for_ else "segment"
    parts = {"segment": value(say, node.segment), "length": length(say, node.for_) if node.for_ else ""}
    return Said(say.say(phrase, **parts), say.say(f"{phrase}.not", **parts))


@leaf.register
def _sample(node: SampleNode, say: Voice) -> Said:
    percent = number(float(node.percent))
    both = [say.say(phrase, percent=percent) for phrase in ("sample", "sample.not")]
    if node.salt != say.segment:
        both = [say.say("sample.salt", sample=each, salt=value(say, node.salt)) for each in both]
    return Said(*both)


def _plain(say: Voice, said: str) -> Said:
    return Said(said, say.say("not", what=said))
