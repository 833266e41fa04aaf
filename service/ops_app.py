"""What a process answers over HTTP that has no API of its own: alive, able to work, metrics, where partitions stand."""

from __future__ import annotations

from fastapi import Depends, FastAPI

from service import problems
from service.edge import Edge
from service.guard import Process, require
from service.routes import operations
from service.wiring import Services


def create_ops_app(process: Process) -> FastAPI:
    """`/healthz`, `/readyz`, `/metrics`; with a store (`Services`) `/v1/status` too. Tokens and errors as the API's."""
    app = FastAPI(title="segmentd operations", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.state.services = process
    problems.install(app)
    reads = [Depends(require("read"))]
    app.include_router(operations.health)
    app.include_router(operations.metrics, dependencies=reads)
    if isinstance(process, Services):
        app.include_router(operations.status, dependencies=reads)
    app.add_middleware(Edge, metrics=process.metrics.http)
    return app
