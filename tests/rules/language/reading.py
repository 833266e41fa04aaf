"""Shorthands of these tests: a document from its YAML, a condition from its YAML, the mistakes of a document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rules.errors import SegmentInvalid
from rules.language import load_yaml, parse_document
from rules.language.documents import Condition, Segment

CASES = Path(__file__).parents[2] / "cases"


def document(enter: str, **rest: Any) -> Segment:
    """The document whose `enter` is this YAML."""
    return parse_document({"id": "a", "enter": load_yaml(enter), **rest})


def condition(enter: str, **rest: Any) -> Condition:
    """The condition that this YAML says."""
    found = document(enter, **rest).enter
    assert found is not None
    return found


def mistakes(raw: Any) -> list[str]:
    """Every mistake of a document as one line each; [] where it has none."""
    try:
        parse_document(raw)
    except SegmentInvalid as error:
        return [str(mistake) for mistake in error.mistakes]
    return []
