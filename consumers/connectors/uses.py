"""Which variables a template asks for from outside, and which of them it can do without."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from liquid import BoundTemplate, RenderContext
from liquid.ast import Node
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.expression import Expression
from liquid.static_analysis import TemplateAnalysis


class Use(NamedTuple):
    """One variable that a template asks for, by its path as far as it is constant: `("customer", "name")`.

    `needed`: without it rendering fails, for it has neither a `default` nor is it asked for by an `if`.
    """

    path: tuple[str, ...]
    needed: bool


def asked_for(template: BoundTemplate, analysis: TemplateAnalysis) -> list[Use]:
    """Its variables, each once, in order."""
    spared = _spared(template)
    return sorted(
        {
            Use(_constant(variable.segments), needed=name not in spared)
            for name, variables in analysis.globals.items()
            for variable in variables
        }
    )


def _constant(segments: Sequence[Any]) -> tuple[str, ...]:
    found: list[str] = []
    for segment in segments:
        if not isinstance(segment, str):
            break
        found.append(segment)
    return tuple(found)


def _spared(template: BoundTemplate) -> set[str]:
    """The names that may be undefined: what an `if` asks for, and what never stands without a `default`."""
    context = RenderContext(template)
    asked: set[str] = set()
    bare: set[str] = set()
    defaulted: set[str] = set()
    for node in _nodes(template.nodes, context):
        for expression in node.expressions():
            if isinstance(expression, FilteredExpression):
                left = _head(expression.left)
                guarded = any(each.name == "default" for each in expression.filters or ())
                if left:
                    (defaulted if guarded else bare).add(left)
                for child in expression.children()[1:]:
                    bare |= set(_heads(child))
            elif type(node).__name__ in ("ForNode", "CaseNode"):
                bare |= set(_heads(expression))
            else:
                asked |= set(_heads(expression))
    return asked | (defaulted - bare)


def _nodes(nodes: Sequence[Node], context: RenderContext) -> Iterator[Node]:
    for node in nodes:
        yield node
        yield from _nodes(list(node.children(context)), context)


def _head(expression: Expression) -> str | None:
    if isinstance(expression, Path):
        head = expression.head()
        return head if isinstance(head, str) else None
    return None


def _heads(expression: Expression) -> Iterator[str]:
    if head := _head(expression):
        yield head
    for child in expression.children():
        yield from _heads(child)
