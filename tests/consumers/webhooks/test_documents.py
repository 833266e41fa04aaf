"""Subscription documents: defaults, and every mistake located."""

from __future__ import annotations

from typing import Any

import pytest

from consumers.webhooks.documents import Document, SubscriptionInvalid, read, written

URL = "https://hooks.example.com/segmentd"


def mistakes(raw: Any) -> dict[str, str]:
    with pytest.raises(SubscriptionInvalid) as found:
        read(raw)
    return {mistake.at: mistake.message for mistake in found.value.mistakes}


def test_a_url_is_enough() -> None:
    assert written(read({"url": URL})) == {
        "url": URL,
        "description": "",
        "segments": "*",
        "kinds": ["entered", "exited"],
        "leave_out": ["backfill", "definition"],
        "concurrency": 4,
        "per_second": None,
        "signatures": ["v1"],
    }


def test_everything_said_is_kept() -> None:
    document = Document(URL, "CRM", ["vip"], ["entered"], [], 32, 0.5, ["v1a", "v1"])
    assert read(written(document)) == document


def test_every_mistake_of_a_document_is_told_at_its_place() -> None:
    raw = {
        "url": "http://user@127.0.0.1/",
        "descriptoin": "x",
        "description": "x" * 501,
        "segments": ["vip", "Not one", 3, "vip"],
        "kinds": ["entered", "left"],
        "leave_out": "backfill",
        "concurrency": 33,
        "per_second": True,
        "signatures": [],
    }
    assert mistakes(raw) == {
        "url": "a URL has no user name or password",
        "descriptoin": "is not known; did you mean `description`?",
        "description": "must be a text of at most 500 characters",
        "segments[1]": "is no segment id",
        "segments[2]": "is no segment id",
        "segments[3]": "is there already",
        "kinds[1]": "must be one of entered, exited, subscription.disabled",
        "leave_out": "must be a list of event, clock, definition, backfill, manual, merge, correction, erasure",
        "concurrency": "must be a whole number from 1 to 32",
        "per_second": "must be a number from 0.01 to 10,000, or null for no limit",
        "signatures": "must be a list of at least one of v1, v1a",
    }


@pytest.mark.parametrize("raw", [None, [], "x", 3, True])
def test_what_is_no_object_is_told_what_would_be_right(raw: Any) -> None:
    assert "must be an object" in mistakes(raw)[""]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", None),
        ("url", 3),
        ("url", "https://127.1/"),
        ("url", "ftp://example.com"),
        ("segments", []),
        ("segments", "vip"),
        ("segments", ["*"]),
        ("segments", [["vip"]]),
        ("kinds", []),
        ("kinds", ["entered", "entered"]),
        ("kinds", [None]),
        ("kinds", [{}]),
        ("leave_out", ["who knows"]),
        ("concurrency", 0),
        ("concurrency", 1.5),
        ("concurrency", True),
        ("per_second", 0),
        ("per_second", "1"),
        ("per_second", float("nan")),
        ("description", 3),
    ],
)
def test_a_wrong_value_is_one_mistake_of_its_field(field: str, value: Any) -> None:
    [at] = mistakes({"url": URL, field: value})
    assert at.startswith(field)


def test_a_url_must_be_there() -> None:
    assert mistakes({}) == {"url": "is missing: where deliveries are sent, e.g. https://example.com/hooks"}
