"""How answers are written: JSON by orjson, instants as RFC 3339."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import Response

from rules.times import NEVER, format_instant


def answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, dict(headers or {}), "application/json")


def instant(ms: int | None) -> str | None:
    """RFC 3339, or null for never and for nothing."""
    return None if ms is None or ms >= NEVER else format_instant(ms)
