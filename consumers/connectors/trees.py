"""JSON with templates in it: what `with`, `json`, `form`, `query` and `headers` are made of.

A text that is exactly one `{{ expression }}` becomes what the expression comes to (number, list, null); any other text
with templates becomes text; everything else stands as it is. A key whose value is `omit` is left out; in a list also a
mapping that then has nothing left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from consumers.connectors.filters import OMIT
from consumers.connectors.port import RenderFailed
from consumers.connectors.templates import Template, TemplateWrong, compile_value
from consumers.connectors.uses import Use
from rules.language.draft import join

Wrong = Callable[[str, str], None]
"""Takes the place and the words of a mistake."""

DEPTH_MAX = 32
VALUES_MAX = 200_000  # of one rendered tree: a batch of 10,000 with some fields each


def compile_tree(raw: Any, at: str, wrong: Wrong, depth: int = 0) -> Any:
    """`raw` with a `Template` for every text that is one. Mistakes go to `wrong`, each at its place."""
    if depth > DEPTH_MAX:
        wrong(at, f"is nested deeper than {DEPTH_MAX} levels")
        return None
    if isinstance(raw, str):
        return leaf(raw, at, wrong)
    if isinstance(raw, Mapping):
        return {key: compile_tree(value, join(at, key), wrong, depth + 1) for key, value in raw.items()}
    if isinstance(raw, list):
        return [compile_tree(value, f"{at}[{number}]", wrong, depth + 1) for number, value in enumerate(raw)]
    return raw


def leaf(
    source: str, at: str, wrong: Wrong, compiler: Callable[[str], Template] = compile_value
) -> Template | str | None:
    """One text: a template if it has anything of one in it."""
    if "{{" not in source and "{%" not in source:
        return source
    try:
        return compiler(source)
    except TemplateWrong as error:
        wrong(at, str(error))
        return None


def render_tree(tree: Any, variables: Mapping[str, Any]) -> Any:
    """The tree with values for its templates; OMIT where the whole of it is left out. Raises RenderFailed."""
    if isinstance(tree, Template):
        return tree.value(variables)
    if isinstance(tree, dict):
        rendered = ((key, render_tree(value, variables)) for key, value in tree.items())
        return {key: value for key, value in rendered if value is not OMIT}
    if isinstance(tree, list):
        rendered_all = [(each, render_tree(each, variables)) for each in tree]
        return [value for each, value in rendered_all if value is not OMIT and not (value == {} and each)]
    return tree


def render_text(tree: Any, variables: Mapping[str, Any], what: str) -> str | None:
    """A value that stands in a header, a query or a form: as text; None where it is left out. Raises RenderFailed."""
    value = render_tree(tree, variables)
    if value is OMIT:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise RenderFailed(f"{what} must be a text or a number")


def uses_of(tree: Any, at: str) -> Iterator[tuple[str, Use]]:
    """Every variable that the tree's templates ask for, with the place of the template."""
    if isinstance(tree, Template):
        for use in tree.uses:
            yield at, use
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield from uses_of(value, join(at, key))
    elif isinstance(tree, list):
        for number, value in enumerate(tree):
            yield from uses_of(value, f"{at}[{number}]")
