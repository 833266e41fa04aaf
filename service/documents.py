"""Segment documents between HTTP and the language: read as JSON or YAML, checked, put into words, written again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import orjson
import yaml
from fastapi import Request

from consumers.connectors.port import Connectors
from consumers.state.registry import Entry
from rules.errors import Mistake, SegmentInvalid
from rules.language import check_set, load_json, load_yaml, parse_document, sentence, texts, words
from rules.language.documents import Segment
from rules.limits import DOCUMENT_BYTES_MAX
from service.bodies import read_body

JSON, YAML = "application/json", "application/yaml"


@dataclass(frozen=True, slots=True)
class Document:
    """A good document: parsed, in JSON form, and as its author wrote it."""

    segment: Segment
    raw: dict[str, Any]
    text: str
    media_type: str


async def read_document(request: Request, segment_id: str | None = None) -> Document:
    """The document of a request, whose id must be `segment_id` if given. Raises Problem, SegmentInvalid."""
    body = await read_body(request, DOCUMENT_BYTES_MAX, DOCUMENT_BYTES_MAX)
    found = parse(body, request.headers.get("content-type", ""))
    if segment_id is not None and found.segment.id != segment_id:
        raise SegmentInvalid([Mistake("id", f"is `{found.segment.id}`, but the address says `{segment_id}`")])
    return found


def parse(body: bytes, content_type: str) -> Document:
    """A document of any content type: JSON where that is said, otherwise YAML (of which JSON is a part)."""
    is_json = content_type.partition(";")[0].strip().lower() == JSON
    raw = load_json(body) if is_json else load_yaml(body)
    segment = parse_document(raw)
    try:
        raw = orjson.loads(orjson.dumps(raw))  # what cannot be JSON could not be kept
    except (TypeError, ValueError) as error:
        raise SegmentInvalid([Mistake("", f"cannot be written as JSON: {error}")]) from None
    text = body.decode().removeprefix("\ufeff")
    looks_json = is_json or text.lstrip().startswith("{")
    return Document(segment, raw, text, JSON if looks_json else YAML)


def check_among(segment: Segment, entries: Mapping[str, Entry]) -> list[Mistake]:
    """What is wrong with a document among those there are: references to nothing, rings."""
    others = {name: parsed(entry.document) for name, entry in entries.items() if name != segment.id}
    return check_set({**others, segment.id: segment}, segments_max=len(others) + 1)


def check_calls(connectors: Connectors, segment: Segment) -> list[Mistake]:
    """What is wrong with the calls of a document's actions, as far as this process knows connectors."""
    return [
        mistake
        for action in segment.actions
        for mistake in connectors.check(action.use, action.with_, action.at, both_ways=action.on == "member")
    ]


def parsed(document: Mapping[str, Any]) -> Segment:
    """A document that was checked when it was taken."""
    return _parsed(orjson.dumps(document))


@lru_cache(maxsize=4096)
def _parsed(document: bytes) -> Segment:
    return parse_document(orjson.loads(document))


def in_words(document: Mapping[str, Any]) -> dict[str, Any]:
    """The condition in plain English: the `sentence`, its `parts` as lines, and `texts` by path."""
    return _in_words(orjson.dumps(document))


@lru_cache(maxsize=4096)
def _in_words(document: bytes) -> dict[str, Any]:
    return told_in_words(_parsed(document))


def told_in_words(segment: Segment) -> dict[str, Any]:
    """`texts` has a phrase for every condition by its path: what `why` and explained trees refer to as `at`."""
    return {
        "sentence": sentence(segment),
        "parts": [asdict(part) for part in words(segment)],
        "texts": texts(segment),
    }


def written_as_yaml(entry: Entry) -> str:
    """The author's text, or YAML of the same meaning where it was sent as JSON."""
    if entry.media_type == YAML:
        return entry.text
    return yaml.safe_dump(entry.document, sort_keys=False, allow_unicode=True, width=120)
