"""Stable names for compiled things: the same meaning has the same 64-bit key, in every process and version."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from hashlib import blake2b
from typing import Any

from rules.compare import key
from rules.language.documents import Comparison, Filter


def canonical(value: Any) -> Any:
    """A part of a document as nested lists of texts, without its place and spelling; filters and tests sorted."""
    if isinstance(value, Comparison):
        return sorted((canonical(test) for test in value.tests), key=repr)
    if is_dataclass(value) and not isinstance(value, type):
        return [type(value).__name__, *(canonical(getattr(value, each.name)) for each in fields(value) if each.compare)]
    if isinstance(value, tuple | list):
        parts = [canonical(part) for part in value]
        return sorted(parts, key=repr) if value and isinstance(value[0], Filter) else parts
    if isinstance(value, frozenset):
        return sorted(map(canonical, value), key=repr)
    return value if value is None else key(value) or repr(value)


def identity(value: Any) -> int:
    """A 63-bit hash of the canonical form."""
    digest = blake2b(repr(canonical(value)).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
