"""Serving the application with uvicorn: our logs instead of its own, and streams that end when the service does."""

from __future__ import annotations

from types import FrameType

import uvicorn
from fastapi import FastAPI

from service.guard import Process


class Server(uvicorn.Server):
    """A uvicorn server that tells the process at the first signal, so that open streams don't hold the end up.

    `started` is true once it listens; `port` is where (for `http_port` 0).
    """

    def __init__(self, process: Process, app: FastAPI) -> None:
        settings = process.settings
        super().__init__(
            uvicorn.Config(
                app,
                host=settings.http_host,
                port=settings.http_port,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=settings.shutdown_seconds,
            )
        )
        self._process = process

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._process.closing.set()

    def stop(self) -> None:
        """The same without a signal."""
        self.should_exit = True
        self._process.closing.set()

    @property
    def port(self) -> int:
        found = self.servers[0].sockets[0].getsockname()
        return int(found[1])

    @property
    def url(self) -> str:
        host = self.config.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"
