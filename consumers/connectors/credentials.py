"""How a connector proves who calls: headers and query of its `auth`, tokens got by OAuth, and signatures of bodies."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlencode

import orjson

from consumers.clock import Clock
from consumers.connectors.documents import Auth
from consumers.connectors.port import RenderFailed
from consumers.connectors.requests import Variables, address, header_value
from consumers.connectors.secrets import MASK, Secrets
from consumers.connectors.trees import render_text
from consumers.outbound.client import Answer

_EARLY_S = 60.0  # a token is renewed so long before its end
_LIFE_S = 300.0  # of a token that does not say how long it is good for
_WHSEC = "whsec_"


class Caller(Protocol):
    """Makes one HTTP request: `consumers/outbound`. Raises OutboundRefused, OutboundFailed."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_s: float | None = None,
        answer_bytes_max: int | None = None,
    ) -> Answer: ...


class Proof:
    """What is added to a request. `query` as pairs."""

    __slots__ = ("headers", "query")

    def __init__(self, headers: Mapping[str, str], query: Mapping[str, str] | None = None) -> None:
        self.headers = dict(headers)
        self.query = dict(query or {})


NOBODY = Proof({})


class TokenFailed(Exception):
    """The token endpoint gave no token; the message is masked."""


class Credentials:
    """Of one connector. Secrets are read anew for every request, so that one that is rotated is taken up."""

    def __init__(self, auth: Auth | None, caller: Caller, secrets: Secrets, clock: Clock) -> None:
        self._auth = auth
        self._caller = caller
        self._secrets = secrets
        self._clock = clock
        self._token = ""
        self._good_until = 0.0
        self._renewing = asyncio.Lock()

    @property
    def renews(self) -> bool:
        """Whether another try may bring other credentials."""
        return self._auth is not None and self._auth.kind == "oauth"

    async def proof(self, variables: Variables) -> Proof:
        """For a request that is sent. Raises RenderFailed, TokenFailed, OutboundRefused, OutboundFailed."""
        if self._auth is not None and self._auth.kind == "oauth":
            return Proof({"Authorization": f"Bearer {await self._oauth(self._auth, variables)}"})
        return self.shown(variables)

    def shown(self, variables: Variables) -> Proof:
        """The same without asking anybody; with variables whose secrets are masked, what may be shown."""
        auth = self._auth
        if auth is None:
            return NOBODY
        if auth.kind == "oauth":
            return Proof({"Authorization": f"Bearer {MASK}"})
        values = {name: self._value(name, tree, variables) for name, tree in auth.values.items()}
        if auth.kind == "bearer":
            return Proof({"Authorization": header_value("Authorization", f"Bearer {values['token']}")})
        if auth.kind == "basic":
            return Proof({"Authorization": f"Basic {self._basic(values)}"})
        if auth.kind == "query":
            return Proof({}, values)
        return Proof({name: header_value(name, value) for name, value in values.items()})

    def _value(self, name: str, tree: Any, variables: Variables) -> str:
        value = render_text(tree, variables, f"`{name}`")
        if value is None:
            raise RenderFailed(f"`auth` needs its `{name}`")
        return value

    def _basic(self, values: Mapping[str, str]) -> str:
        if MASK in values.values():
            return MASK
        encoded = base64.b64encode(f"{values['user']}:{values['password']}".encode()).decode()
        self._secrets.remember(encoded)
        return encoded

    # -- oauth --------------------------------------------------------------------------------------------------------

    def forget(self, proof: Proof) -> None:
        """The token of `proof` was not accepted: the next request asks for another."""
        if proof.headers.get("Authorization") == f"Bearer {self._token}":
            self._token = ""

    async def _oauth(self, auth: Auth, variables: Variables) -> str:
        async with self._renewing:
            if not self._token or self._clock.monotonic() >= self._good_until:
                self._token, life_s = await self._renewed(auth, variables)
                self._good_until = self._clock.monotonic() + max(life_s - _EARLY_S, life_s / 2)
            return self._token

    async def _renewed(self, auth: Auth, variables: Variables) -> tuple[str, float]:
        form = {name: self._value(name, tree, variables) for name, tree in auth.values.items()}
        answer = await self._caller.request(
            "POST",
            address(auth.url, variables),
            headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
            body=urlencode(form).encode(),
        )
        try:
            found = orjson.loads(answer.body)
            token, life = found["access_token"], found.get("expires_in", _LIFE_S)
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            token, life = None, None
        if answer.status != 200 or not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise TokenFailed(f"no access token: HTTP {answer.status}")
        self._secrets.remember(token)
        return token, float(life) if isinstance(life, int | float) else _LIFE_S


def signature(secret: str, key: str, seconds: int, body: bytes, shown: bool) -> dict[str, str]:
    """The headers of Standard Webhooks 1.0 for a body. `secret`: base64, with or without `whsec_`. Raises
    RenderFailed."""
    headers = {"webhook-id": key, "webhook-timestamp": str(seconds)}
    if shown:
        return {**headers, "webhook-signature": f"v1,{MASK}"}
    try:
        raw = base64.b64decode(secret.removeprefix(_WHSEC), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if not raw:
        raise RenderFailed("the secret to sign with must be base64, as in Standard Webhooks", mendable=True)
    made = hmac.new(raw, f"{key}.{seconds}.".encode() + body, hashlib.sha256).digest()
    return {**headers, "webhook-signature": f"v1,{base64.b64encode(made).decode()}"}
