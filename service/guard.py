"""Who may do what: the one place where routes ask for a scope, and where they get the services from."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Protocol

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from service.auth import ANONYMOUS, Scope
from service.metrics import Metrics
from service.problems import Problem
from service.readiness import Readiness
from service.settings import Settings
from service.wiring import Services

_bearer = HTTPBearer(
    auto_error=False, description="Needed only where tokens are set (`SEGMENTD_TOKENS`); scopes: ingest, read, manage."
)


class Process(Protocol):
    """What every process has that answers HTTP, if only to whoever operates it (`Services` is one).

    `closing` is set when it begins to end.
    """

    @property
    def settings(self) -> Settings: ...

    @property
    def metrics(self) -> Metrics: ...

    @property
    def closing(self) -> asyncio.Event: ...

    async def readiness(self) -> Readiness:
        """Asked at each /readyz; never raises Unavailable."""
        ...


async def process(request: Request) -> Process:
    found: Process = request.app.state.services
    return found


async def services(request: Request) -> Services:
    found = request.app.state.services
    assert isinstance(found, Services)
    return found


async def caller(
    parts: Annotated[Process, Depends(process)],
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)] = None,
) -> str:
    """The name of whoever calls: their token's. What they may do is `require`'s to say."""
    return parts.settings.tokens.name_of(credentials.credentials) if credentials else ANONYMOUS


Caller = Annotated[str, Depends(caller)]
With = Annotated[Services, Depends(services)]
WithProcess = Annotated[Process, Depends(process)]


def require(scope: Scope) -> Callable[..., Awaitable[None]]:
    """A dependency that lets a request pass if its token has the scope, or if no tokens are set at all."""

    async def check(
        parts: WithProcess, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)] = None
    ) -> None:
        tokens = parts.settings.tokens
        if not tokens:
            return
        allowed = tokens.scopes_of(credentials.credentials) if credentials else None
        if allowed is None:
            raise _unauthorized(scope, presented=credentials is not None)
        if scope not in allowed:
            raise _forbidden(scope)

    return check


def _unauthorized(scope: Scope, presented: bool) -> Problem:
    challenge = f'Bearer realm="segmentd", scope="{scope}"' + (', error="invalid_token"' if presented else "")
    detail = "The token is not known here." if presented else "Send `Authorization: Bearer <token>`."
    return Problem(401, "unauthorized", detail, headers={"WWW-Authenticate": challenge})


def _forbidden(scope: Scope) -> Problem:
    challenge = f'Bearer realm="segmentd", error="insufficient_scope", scope="{scope}"'
    return Problem(403, "forbidden", f"This needs the scope `{scope}`.", headers={"WWW-Authenticate": challenge})
