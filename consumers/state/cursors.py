"""Cursors: where a list goes on, as opaque text that only the call which gave it can read."""

from __future__ import annotations

import base64
from typing import TypeVar

import msgspec

T = TypeVar("T")


class CursorInvalid(Exception):
    """Not a cursor that this call gave. The caller's mistake."""


def write_cursor(value: msgspec.Struct) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(value)).decode().rstrip("=")


def read_cursor(text: str, kind: type[T]) -> T:
    """The inverse. Raises CursorInvalid."""
    try:
        return msgspec.msgpack.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=kind)
    except (ValueError, msgspec.DecodeError) as error:
        raise CursorInvalid("this cursor was not given by this list: leave it out to begin anew") from error
