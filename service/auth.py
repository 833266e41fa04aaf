"""Bearer tokens with names and scopes. A token is compared in constant time, kept as a hash, and written nowhere.

Its name says who did something (`by` of a change by hand): it is public, unlike the token.
"""

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
NAME_CHARS_MAX = 64
ANONYMOUS = "anonymous"
"""Who does something where no tokens are set."""
_IMPLIED: dict[str, tuple[str, ...]] = {"ingest": (), "read": (), "manage": ("read",)}


@dataclass(frozen=True, slots=True)
class Token:
    """One token: the SHA-256 of its text, what it may do, and the name of whoever has it."""

    digest: bytes
    scopes: frozenset[Scope]
    name: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens a process accepts. None at all: everybody may do everything (the command line binds to loopback)."""

    known: tuple[Token, ...]

    def __bool__(self) -> bool:
        return bool(self.known)

    def scopes_of(self, presented: str) -> frozenset[Scope] | None:
        """What the presented token may do; None if nobody knows it."""
        token = self._find(presented)
        return None if token is None else token.scopes

    def name_of(self, presented: str) -> str:
        """Who presents it; ANONYMOUS for a token that nobody knows (which lets nobody in where there are tokens)."""
        token = self._find(presented)
        return ANONYMOUS if token is None else token.name

    def _find(self, presented: str) -> Token | None:
        """Looks at every token, so that the time taken tells nothing."""
        digest = _digest(presented)
        found: Token | None = None
        for token in self.known:
            if hmac.compare_digest(token.digest, digest):
                found = token
        return found


def parse_tokens(value: object) -> Tokens:
    """Tokens from a setting: `token:scope+scope,...`, JSON `{"token": ["scope"]}` or, with the name of whoever has it,
    `{"token": {"name": "ana", "scopes": ["scope"]}}`, or such a mapping itself.

    One without a name is called by the beginning of its hash. Raises ValueError naming the place by its number, never
    by the token.

    >>> sorted(parse_tokens("0123456789abcdef:ingest+read").scopes_of("0123456789abcdef"))
    ['ingest', 'read']
    >>> parse_tokens({"0123456789abcdef": {"name": "ana", "scopes": ["read"]}}).name_of("0123456789abcdef")
    'ana'
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
    digest = _digest(text)
    name = f"token-{digest.hex()[:6]}"
    if isinstance(scopes, Mapping):
        name, scopes = _named(number, scopes)
    named = scopes.split("+") if isinstance(scopes, str) else scopes
    if not isinstance(named, list) or not named:
        raise ValueError(f"token {number}: needs scopes, some of {', '.join(SCOPES)}")
    wrong = [scope for scope in named if scope not in SCOPES]
    if wrong:
        raise ValueError(f"token {number}: no such scope; there are {', '.join(SCOPES)}")
    granted = {*named, *(more for scope in named for more in _IMPLIED[scope])}
    return Token(digest, frozenset(scope for scope in SCOPES if scope in granted), name)


def _named(number: int, said: Mapping[Any, Any]) -> tuple[str, Any]:
    """(name, scopes) of `{"name": ..., "scopes": [...]}`."""
    if set(said) != {"name", "scopes"}:
        raise ValueError(f'token {number}: is {{"name": ..., "scopes": [...]}}, or the list of scopes')
    name = said["name"]
    if not isinstance(name, str) or not 1 <= len(name) <= NAME_CHARS_MAX or not name.isprintable():
        raise ValueError(f"token {number}: its name has 1 to {NAME_CHARS_MAX} printable characters")
    if name != name.strip() or name == ANONYMOUS:
        raise ValueError(f"token {number}: its name is not `{ANONYMOUS}`, and has no blank at its ends")
    return name, said["scopes"]


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
