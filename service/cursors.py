"""Opaque cursors for lists that are in order of a name: the last name seen, wrapped so that nobody builds on it."""

from __future__ import annotations

import base64
import binascii

from service.problems import Problem, invalid_parameter

_MARK = "n:"


def cursor_of(name: str) -> str:
    return base64.urlsafe_b64encode(f"{_MARK}{name}".encode()).decode().rstrip("=")


def after(cursor: str) -> str:
    """The name a cursor was made of; raises Problem for what is no cursor.

    >>> after(cursor_of("big-spenders"))
    'big-spenders'
    """
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise bad_cursor() from None
    if not text.startswith(_MARK):
        raise bad_cursor()
    return text.removeprefix(_MARK)


def bad_cursor() -> Problem:
    return invalid_parameter("cursor", "is none that this list gave; begin again without one")
