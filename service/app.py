"""The HTTP application: `create_app(services)`; everything it needs is given, nothing is made here."""

from __future__ import annotations

from urllib.parse import unquote

from fastapi import APIRouter, Depends, FastAPI
from starlette import types

from service import openapi, problems
from service.auth import Scope
from service.edge import Edge
from service.guard import require
from service.params import SLASH
from service.routes import (
    actions,
    check,
    customers,
    events,
    imports,
    members,
    operations,
    page,
    segments,
    subscription_deliveries,
    subscriptions,
    transitions,
    unsubscribe,
    validate,
)
from service.wiring import Services

VERSION = "0.1.0"
ABOUT = """Customers enter and leave segments by what they do and by the passing of time; this says who, since when,
until when, and why. Errors are `application/problem+json` (RFC 9457). Lists page by opaque cursors. Instants are RFC
3339."""


def create_app(services: Services) -> FastAPI:
    """The application over these services. Opening and closing them is the caller's."""
    app = FastAPI(
        title="segmentd",
        version=VERSION,
        description=ABOUT,
        docs_url=None,  # both pages load code from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    app.state.services = services
    problems.install(app)
    scoped: tuple[tuple[APIRouter, Scope], ...] = (
        (events.router, "ingest"),
        (validate.router, "read"),
        (segments.reads, "read"),
        (segments.changes, "manage"),
        (actions.reads, "read"),
        (actions.changes, "manage"),
        (members.reads, "read"),
        (members.changes, "manage"),
        (imports.reads, "read"),
        (imports.changes, "manage"),
        (customers.router, "read"),
        (check.router, "read"),
        (transitions.router, "read"),
        (subscriptions.reads, "read"),
        (subscriptions.changes, "manage"),
        (subscription_deliveries.reads, "read"),
        (subscription_deliveries.changes, "manage"),
        (operations.metrics, "read"),
        (operations.status, "read"),
        (operations.dead_letters, "manage"),
        (unsubscribe.changes, "manage"),
    )
    for router, scope in scoped:
        app.include_router(router, dependencies=[Depends(require(scope))])
    app.include_router(operations.health)
    app.include_router(unsubscribe.public)
    app.include_router(page.router)
    openapi.install(app)
    app.add_middleware(SlashesInside)
    app.add_middleware(Edge, metrics=services.metrics.http)
    return app


class SlashesInside:
    """Lets one part of a path hold a slash (`/v1/customers/a%2Fb`): servers decode it before routes are found."""

    def __init__(self, app: types.ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        raw = scope.get("raw_path") or b""
        if scope["type"] == "http" and b"%2f" in raw.lower():
            parts = raw.partition(b"?")[0].decode("latin-1").split("/")
            scope = {**scope, "path": "/".join(unquote(part).replace("/", SLASH) for part in parts)}
        await self._app(scope, receive, send)
