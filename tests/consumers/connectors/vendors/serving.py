"""Other systems, played: HTTP servers in processes of their own that behave as their vendors' documentation says.

    python -m tests.consumers.connectors.vendors.serving kommo      prints the port, serves until its input ends

What a server has got and how it is to behave is asked and told over HTTP as well, under `/-/` (`Remote`).
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, NamedTuple
from urllib.parse import parse_qsl, urlsplit

ROOT = Path(__file__).parents[4]


class Asked(NamedTuple):
    """A request. `query` as pairs in order; header names in lower case."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: Mapping[str, str]
    body: bytes

    def one(self, name: str) -> str | None:
        """The query's value of that name; None where it is missing or stands there more than once."""
        values = [value for key, value in self.query if key == name]
        return values[0] if len(values) == 1 else None

    def json(self) -> Any:
        """The body; None where it is none, or no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class Told(NamedTuple):
    """An answer. `body`: JSON, or a text as it is."""

    status: int
    body: Any = ""
    headers: Mapping[str, str] = {}
    kind: str = "application/json"


class Vendor:
    """One system. `answer` is called for one request at a time."""

    def __init__(self) -> None:
        self.knobs: dict[str, Any] = {}

    def answer(self, asked: Asked) -> Told:
        raise NotImplementedError

    def state(self) -> Any:
        """What a test may want to know of it, as JSON."""
        return {}


class Rate:
    """At most `most` requests in any window of so many seconds; the ones refused count not."""

    def __init__(self, most: int, seconds: float = 1.0) -> None:
        self._most = most
        self._seconds = seconds
        self._times: deque[float] = deque()

    def takes(self) -> bool:
        now = time.monotonic()
        while self._times and now - self._times[0] >= self._seconds:
            self._times.popleft()
        if len(self._times) >= self._most:
            return False
        self._times.append(now)
        return True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    vendor: ClassVar[Vendor]
    lock: ClassVar[threading.Lock] = threading.Lock()
    seen: ClassVar[list[dict[str, Any]]] = []
    script: ClassVar[list[Told]] = []  # answers to be given first, whatever is asked

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: tests read `seen`."""

    def _any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, parts.path, parse_qsl(parts.query, keep_blank_values=True), headers, body)
        with self.lock:
            told = self._of_the_test(asked) if asked.path.startswith("/-/") else self._of_the_vendor(asked)
        self._tell(told)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any

    def _of_the_vendor(self, asked: Asked) -> Told:
        told = self.script.pop(0) if self.script else self.vendor.answer(asked)
        about = {"method": asked.method, "path": asked.path, "query": asked.query, "headers": dict(asked.headers)}
        self.seen.append({**about, "body": asked.body.decode(), "status": told.status})
        return told

    def _of_the_test(self, asked: Asked) -> Told:
        if asked.path == "/-/seen":
            return Told(200, self.seen)
        if asked.path == "/-/state":
            return Told(200, self.vendor.state())
        given = asked.json()
        if asked.path == "/-/knobs":
            self.vendor.knobs.update(given)
        elif asked.path == "/-/script":
            self.script.extend(Told(*each) for each in given)
        return Told(200, {})

    def _tell(self, told: Told) -> None:
        body = told.body.encode() if isinstance(told.body, str) else json.dumps(told.body).encode()
        self.send_response(told.status)
        self.send_header("Content-Type", told.kind)
        for name, value in told.headers.items():
            self.send_header(name, value)
        if told.status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if told.status != 204:
            self.wfile.write(body)


def main(name: str) -> None:
    module = importlib.import_module(f"tests.consumers.connectors.vendors.{name}")
    _Handler.vendor = module.VENDOR()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()  # until whoever started it is gone


# -- from the test's side ---------------------------------------------------------------------------------------------


class Remote:
    """A vendor in its own process, as the test sees it."""

    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"

    def seen(self) -> list[dict[str, Any]]:
        """Every request so far, with the status it got."""
        found: list[dict[str, Any]] = self._asked("seen")
        return found

    def state(self) -> Any:
        return self._asked("state")

    def knobs(self, **values: Any) -> None:
        self._asked("knobs", values)

    def script(self, *answers: tuple[Any, ...]) -> None:
        """Answers to be given first: (status, body, headers, kind), the last three may be left out."""
        self._asked("script", [list(answer) for answer in answers])

    def _asked(self, what: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"{self.base}/-/{what}", data=data, timeout=60) as answer:
            return json.load(answer)


@contextmanager
def vendor(name: str) -> Iterator[Remote]:
    """The vendor of that name in a process of its own."""
    command = [sys.executable, "-m", "tests.consumers.connectors.vendors.serving", name]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Remote(int(process.stdout.readline()))
    finally:
        process.stdin.close()
        process.wait(timeout=60)
        process.stdout.close()


if __name__ == "__main__":
    main(sys.argv[1])
