"""The outermost layer of every HTTP request: headers that all answers carry, the access log, and the last resort.

The log and the metrics name the route (`/v1/customers/{customer}`), never the path or the query: those hold customers.
"""

from __future__ import annotations

import time
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import logs
from service.metrics import HttpMetrics
from service.problems import as_problem

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_log = logs.get("http")


class Edge:
    """ASGI middleware: `app` answers, this adds what every answer needs and tells that it happened."""

    def __init__(self, app: ASGIApp, metrics: HttpMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send)
        began = time.perf_counter()
        try:
            await self._app(scope, receive, answer.send)
        except Exception as error:
            if answer.status:
                raise  # half an answer is out: only cutting the connection says so
            _log.error("request failed", route=route_of(scope), exc_info=error)
            await as_problem(error).response()(scope, receive, answer.send)
        finally:
            self._tell(scope, answer.status, time.perf_counter() - began)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        route, method = route_of(scope), scope["method"]
        self._metrics.request(route, method, status, seconds)
        level = "debug" if route in ("/healthz", "/readyz", "/metrics") else "info"
        getattr(_log, level)("request", method=method, route=route, status=status, ms=round(seconds * 1000, 1))


class _Answer:
    """Watches one answer go by. `status` is 0 until it has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
        await self._send(message)


def route_of(scope: Any) -> str:
    """The route's template, or `(none)`: an unknown path is whatever somebody typed."""
    route = scope.get("route")
    path = getattr(route, "path_format", None) or getattr(route, "path", None)
    return path if isinstance(path, str) else "(none)"
