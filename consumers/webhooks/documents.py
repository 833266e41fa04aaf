"""What a subscription asks for: its document, read with every mistake located."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

import msgspec

from consumers.outbound.errors import OutboundRefused
from consumers.outbound.urls import parse as parse_url
from rules.errors import Mistake, SegmentdError
from rules.limits import SEGMENT_ID_CHARS_MAX
from rules.transitions import Cause

Kind = Literal["entered", "exited", "subscription.disabled"]
Signature = Literal["v1", "v1a"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SIGNATURES: tuple[Signature, ...] = get_args(Signature)
CAUSES: tuple[Cause, ...] = get_args(Cause)
CONCURRENCY_MAX = 32
PER_SECOND_MAX = 10_000
DESCRIPTION_CHARS_MAX = 500
SEGMENTS_MAX = 1_000
ALL = "*"
_SEGMENT_ID = re.compile(rf"[a-z0-9][a-z0-9_-]{{0,{SEGMENT_ID_CHARS_MAX - 1}}}")


class Document(msgspec.Struct, frozen=True):
    """A good one. `segments`: their ids, or "*". `per_second`: calls begun a second, None for as many as there are."""

    url: str
    description: str = ""
    segments: list[str] | Literal["*"] = "*"
    kinds: list[Kind] = msgspec.field(default_factory=lambda: ["entered", "exited"])
    leave_out: list[Cause] = msgspec.field(default_factory=lambda: ["backfill", "definition"])
    concurrency: int = 4
    per_second: float | None = None
    signatures: list[Signature] = msgspec.field(default_factory=lambda: ["v1"])


class SubscriptionInvalid(SegmentdError):
    """The document is refused whole, with every mistake of it."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = list(mistakes)


def read(raw: Any) -> Document:
    """The document of decoded JSON. Raises SubscriptionInvalid. Nothing is looked up: see `service` for segments."""
    if not isinstance(raw, Mapping):
        raise SubscriptionInvalid([Mistake("", 'must be an object, at least `{"url": "https://..."}`')])
    mistakes: list[Mistake] = []
    values: dict[str, Any] = {}
    for name, value in raw.items():
        check = _FIELDS.get(name)
        if check is None:
            close = difflib.get_close_matches(str(name), _FIELDS, 1)
            hint = f"; did you mean `{close[0]}`?" if close else f"; there are {', '.join(_FIELDS)}"
            mistakes.append(Mistake(str(name)[:100], f"is not known{hint}"))
            continue
        found = check(name, value)
        if found:
            mistakes += found
        else:
            values[name] = value
    if "url" not in raw:
        mistakes.append(Mistake("url", "is missing: where deliveries are sent, e.g. https://example.com/hooks"))
    if mistakes:
        raise SubscriptionInvalid(mistakes)
    return msgspec.convert(values, Document)


def written(document: Document) -> dict[str, Any]:
    """As JSON, every field told."""
    told: dict[str, Any] = msgspec.to_builtins(document)
    return told


def _url(at: str, value: Any) -> list[Mistake]:
    if not isinstance(value, str):
        return [Mistake(at, "must be a text, e.g. https://example.com/hooks")]
    try:
        parse_url(value)
    except OutboundRefused as error:
        return [Mistake(at, str(error))]
    return []


def _description(at: str, value: Any) -> list[Mistake]:
    if not isinstance(value, str) or len(value) > DESCRIPTION_CHARS_MAX:
        return [Mistake(at, f"must be a text of at most {DESCRIPTION_CHARS_MAX} characters")]
    return []


def _segments(at: str, value: Any) -> list[Mistake]:
    if value == ALL:
        return []
    if not isinstance(value, list) or not 1 <= len(value) <= SEGMENTS_MAX:
        return [Mistake(at, f'must be "*" for all, or a list of 1 to {SEGMENTS_MAX:,} segment ids')]
    return [
        Mistake(f"{at}[{index}]", "is no segment id")
        for index, each in enumerate(value)
        if not isinstance(each, str) or not _SEGMENT_ID.fullmatch(each)
    ] + _twice(at, value)


def _among(allowed: Sequence[str], least: int) -> Callable[[str, Any], list[Mistake]]:
    def check(at: str, value: Any) -> list[Mistake]:
        if not isinstance(value, list) or len(value) < least:
            return [Mistake(at, f"must be a list{' of at least one' if least else ''} of {', '.join(allowed)}")]
        return [
            Mistake(f"{at}[{index}]", f"must be one of {', '.join(allowed)}")
            for index, each in enumerate(value)
            if each not in allowed
        ] + _twice(at, value)

    return check


def _twice(at: str, values: Sequence[Any]) -> list[Mistake]:
    return [
        Mistake(f"{at}[{index}]", "is there already") for index, each in enumerate(values) if each in values[:index]
    ]


def _concurrency(at: str, value: Any) -> list[Mistake]:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= CONCURRENCY_MAX:
        return [Mistake(at, f"must be a whole number from 1 to {CONCURRENCY_MAX}")]
    return []


def _per_second(at: str, value: Any) -> list[Mistake]:
    if value is None:
        return []
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0.01 <= value <= PER_SECOND_MAX:
        return [Mistake(at, f"must be a number from 0.01 to {PER_SECOND_MAX:,}, or null for no limit")]
    return []


_FIELDS: Mapping[str, Callable[[str, Any], list[Mistake]]] = {
    "url": _url,
    "description": _description,
    "segments": _segments,
    "kinds": _among(KINDS, 1),
    "leave_out": _among(CAUSES, 0),
    "concurrency": _concurrency,
    "per_second": _per_second,
    "signatures": _among(SIGNATURES, 1),
}
