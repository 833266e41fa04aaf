"""A receiver of webhooks as a process of its own: `python -m tests.integration.webhook_receiver` prints its port.

`POST /hook/<name>` is taken and answered by the next status that was asked for (`PUT /hook/<name>` with a list of
them), else by 204. `GET /hook/<name>` tells what was taken: headers and body of each, in order.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_lock = threading.Lock()
_taken: dict[str, list[dict[str, Any]]] = {}
_answers: dict[str, list[int]] = {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self._body().decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        with _lock:
            answers = _answers.get(self.path, [])
            status = answers.pop(0) if answers else 204
            _taken.setdefault(self.path, []).append({"headers": headers, "body": body, "status": status})
        self._answer(status)

    def do_PUT(self) -> None:
        with _lock:
            _answers[self.path] = json.loads(self._body())
        self._answer(204)

    def do_GET(self) -> None:
        with _lock:
            told = json.dumps(_taken.get(self.path, []))
        self._answer(200, told.encode())

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()
