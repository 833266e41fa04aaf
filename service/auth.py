"""Bearer tokens with scopes. A token is compared in constant time, kept as a hash, and never written anywhere."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import orjson

Scope = Literal["ingest", "read", "manage"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
TOKEN_CHARS_MIN = 16
_IMPLIED: dict[str, tuple[str, ...]] = {"ingest": (), "read": (), "manage": ("read",)}


@dataclass(frozen=True, slots=True)
class Token:
    """One token: the SHA-256 of its text and what it may do."""

    digest: bytes
    scopes: frozenset[Scope]


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens a process accepts. None at all: everybody may do everything (the command line binds to loopback)."""

    known: tuple[Token, ...]

    def __bool__(self) -> bool:
        return bool(self.known)

    def scopes_of(self, presented: str) -> frozenset[Scope] | None:
        """What the presented token may do; None if nobody knows it. Looks at every token, so that the time taken
        tells nothing."""
        digest = _digest(presented)
        found: frozenset[Scope] | None = None
        for token in self.known:
            if hmac.compare_digest(token.digest, digest):
                found = token.scopes
        return found


def parse_tokens(value: object) -> Tokens:
    """Tokens from a setting: `token:scope+scope,...`, JSON `{"token": ["scope"]}`, or that mapping itself.

    Raises ValueError naming the place by its number, never by the token.

    >>> sorted(parse_tokens("0123456789abcdef:ingest+read").scopes_of("0123456789abcdef"))
    ['ingest', 'read']
    """
    if value is None or value == "":
        return Tokens(())
    pairs = _pairs(value)
    return Tokens(tuple(_token(number, text, scopes) for number, (text, scopes) in enumerate(pairs, start=1)))


def _pairs(value: object) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [(str(text), scopes) for text, scopes in value.items()]
    if not isinstance(value, str):
        raise ValueError("tokens are `token:scope+scope,...` or a JSON object from token to scopes")
    if value.lstrip().startswith("{"):
        try:
            return _pairs(orjson.loads(value))
        except orjson.JSONDecodeError:
            raise ValueError("tokens begin with `{` but are not a JSON object") from None
    entries = [entry.strip() for entry in value.split(",") if entry.strip()]
    return [(text, scopes) for text, _, scopes in (entry.rpartition(":") for entry in entries)]


def _token(number: int, text: str, scopes: Any) -> Token:
    if len(text) < TOKEN_CHARS_MIN:
        raise ValueError(f"token {number}: has fewer than {TOKEN_CHARS_MIN} characters (or no `:scopes` after it)")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(f"token {number}: only printable ASCII without blanks can stand in a header")
    named = scopes.split("+") if isinstance(scopes, str) else scopes
    if not isinstance(named, list) or not named:
        raise ValueError(f"token {number}: needs scopes, some of {', '.join(SCOPES)}")
    wrong = [scope for scope in named if scope not in SCOPES]
    if wrong:
        raise ValueError(f"token {number}: no such scope; there are {', '.join(SCOPES)}")
    granted = {*named, *(more for scope in named for more in _IMPLIED[scope])}
    return Token(_digest(text), frozenset(scope for scope in SCOPES if scope in granted))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
