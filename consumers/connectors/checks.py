"""Checks what an action of a segment writes for a call: its `with`, before anything is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from consumers.connectors.documents import Call
from consumers.connectors.trees import compile_tree, uses_of
from consumers.connectors.variables import OF_A_CALL, strange
from rules.errors import Mistake
from rules.language.draft import join
from rules.language.hints import unknown


def check_with(connector: str, call: Call, with_: Mapping[str, Any], at: str, *, both_ways: bool) -> list[Mistake]:
    """Every mistake, located below `at` (the action)."""
    found: list[Mistake] = []
    use = f"{connector}.{call.name}"
    if both_ways and call.remove is None:
        found.append(Mistake(f"{at}.use", f"`{use}` cannot take back what it did, which `on: member` needs"))
    known = list(call.parameters)
    for key in with_:
        if key not in call.parameters:
            told = unknown(f"parameter of `{use}`", key, known) if known else f"`{use}` takes no parameters"
            found.append(Mistake(join(f"{at}.with", key), told))
    for name, parameter in call.parameters.items():
        if (parameter.needed or (both_ways and parameter.needed_back)) and name not in with_:
            about = f" ({parameter.about})" if parameter.about else ""
            found.append(Mistake(f"{at}.with.{name}", f"`{use}` needs `{name}`{about}"))
    return found + check_templates(with_, f"{at}.with")


def check_templates(with_: Mapping[str, Any], at: str) -> list[Mistake]:
    """What is wrong with the templates in a `with`, of whatever connector."""
    found: list[Mistake] = []
    tree = compile_tree(dict(with_), at, lambda place, message: found.append(Mistake(place, message)))
    told = {(place, message) for place, use in uses_of(tree, at) for message in strange(use, OF_A_CALL)}
    return found + [Mistake(place, message) for place, message in sorted(told)]
