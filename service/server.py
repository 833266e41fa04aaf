"""Serving the application with uvicorn: our logs instead of its own, and streams that end when the service does."""

from __future__ import annotations

from types import FrameType

import uvicorn

from service.app import create_app
from service.wiring import Services


class Server(uvicorn.Server):
    """A uvicorn server that tells the services at the first signal, so that open streams don't hold the end up.

    `started` is true once it listens; `port` is where (for `http_port` 0).
    """

    def __init__(self, services: Services) -> None:
        settings = services.settings
        super().__init__(
            uvicorn.Config(
                create_app(services),
                host=settings.http_host,
                port=settings.http_port,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=settings.shutdown_seconds,
            )
        )
        self._services = services

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._services.closing.set()

    def stop(self) -> None:
        """The same without a signal."""
        self.should_exit = True
        self._services.closing.set()

    @property
    def port(self) -> int:
        found = self.servers[0].sockets[0].getsockname()
        return int(found[1])

    @property
    def url(self) -> str:
        host = self.config.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"
