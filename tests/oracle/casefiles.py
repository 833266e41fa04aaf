"""Reading `*.cases.yaml` for the oracle: YAML 1.2 core by its own resolver, events, and the expected lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from rules.language import parse_document
from rules.language.documents import Segment
from tests.oracle.calendars import read_instant


class Core(yaml.SafeLoader):
    """YAML 1.2 core: only true/false, null, integers and floats are not text."""


Core.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"null|Null|NULL|~|", "nN~\0"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
):
    Core.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))


@dataclass(frozen=True)
class Record:
    """An event as the oracle needs it. `rank`: the id, or for one without, its line (later is greater)."""

    type: str
    customer_id: str
    ts: int
    id: str = ""
    properties: dict[str, Any] = field(default_factory=dict)
    rank: str = ""


class Case(NamedTuple):
    name: str
    segments: list[Segment]
    log: list[tuple[Record, int | None]]
    until: int | None
    expect: list[str]
    members: dict[str, list[str]] | None


def instant(text: str) -> int:
    """Raises AssertionError for what is no RFC 3339 instant."""
    ms = read_instant(text)
    assert ms is not None, text
    return ms


def load(path: Path) -> Iterator[Case]:
    raw = yaml.load(path.read_text(), Core)
    named = [
        yaml.load((path.parent / each).read_text(), Core) if isinstance(each, str) else each for each in raw["segments"]
    ]
    segments = [parse_document(document) for document in named]
    for case in raw["cases"]:
        log = [_record(event, line) for line, event in enumerate(case["events"])]
        until = instant(case["until"]) if "until" in case else None
        yield Case(case["name"], segments, log, until, case["expect"], case.get("members"))


def _record(raw: dict[str, Any], line: int) -> tuple[Record, int | None]:
    identity = raw.get("id", "")
    rank = identity or f"\U0010ffff{line:012d}"
    record = Record(raw["type"], raw["customer_id"], instant(raw["ts"]), identity, raw.get("properties", {}), rank)
    return record, instant(raw["log_ts"]) if "log_ts" in raw else None
