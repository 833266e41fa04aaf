"""`segmentd status` against a running service, and what it shows of services in trouble."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import orjson
import pytest
from rich.console import Console

from service import examples
from service.cli.status import shown
from tests.service.cli.conftest import Run, running

READY: dict[str, Any] = examples.STATUS[200]["content"]["application/json"]["example"]


def told(found: dict[str, Any]) -> str:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(shown(found))
    return captured.get()


def with_partition(**fields: Any) -> dict[str, Any]:
    return READY | {"partitions": [READY["partitions"][0] | fields]}


@contextmanager
def answering(*answers: tuple[int, dict[str, Any]]) -> Iterator[str]:
    """A server that gives these answers in turn, and the last one for ever."""
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(orjson.dumps(body))

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def test_the_table_shows_a_running_service(run: Run, server: str) -> None:
    ran = run("status", "--server", server)
    assert ran.status == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[0] == "ready: 0 segments, 0 customers, 0 records behind, 0 dead letters"
    assert lines[1].split()[:4] == ["partition", "owner", "epoch", "position"]
    assert [line.split()[0] for line in lines[2:]] == ["0", "1", "2", "3"]


def test_json_is_what_the_service_answers(run: Run, server: str) -> None:
    ran = run("status", "--server", server, "--json")
    assert ran.status == 0
    assert orjson.loads(ran.out).keys() == READY.keys()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"owner": None}, "–"),
        ({"trouble": "partition 0: position 7 is outside the log"}, "  position 7 is outside the log"),
        ({"recovering": True}, "recovering"),
        ({"clock_lag_ms": 90_000}, "90 s"),
        ({"relay_lag": 12_345}, "12,345"),
        ({"timers_due": 4_321}, "4,321"),
        ({"log_end": "536399"}, "536399"),
    ],
)
def test_a_row_tells(fields: dict[str, Any], expected: str) -> None:
    row, plain = told(with_partition(**fields)).splitlines()[-1], told(READY).splitlines()[-1]
    assert expected in row
    assert expected not in plain


def test_what_is_not_known_while_the_log_is_away_is_a_dash() -> None:
    away = with_partition(log_end=None, lag_records=None, clock_lag_ms=None, relay_lag=None)
    assert told(away | {"lag_records": None}).count("–") == 5


def test_reasons_and_warnings_are_lines_of_their_own() -> None:
    text = told(READY | {"ready": False, "reasons": ["[starting]"], "warnings": ["no evaluator owns partition 3"]})
    assert [line.strip() for line in text.splitlines()[:3]] == [
        "not ready: 1 segments, 1 customers, 0 records behind, 0 dead letters",
        "[starting]",
        "no evaluator owns partition 3",
    ]


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_service_that_is_not_ready_is_status_1(run: Run, options: tuple[str, ...]) -> None:
    with answering((200, READY | {"ready": False, "reasons": ["starting"]})) as url:
        ran = run("status", "--server", url, *options)
    assert ran.status == 1
    assert "starting" in ran.out


def test_a_service_without_its_store_is_told(run: Run) -> None:
    with answering((503, {"detail": "the store is away"})) as url:
        ran = run("status", "--server", url)
    assert (ran.status, ran.out) == (1, "")
    assert "503 the store is away" in ran.err


def test_a_service_that_is_not_there_is_told(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    ran = run("status", "--server", f"http://127.0.0.1:{port}")
    assert ran.status == 1
    assert f"127.0.0.1:{port}" in ran.err


def test_the_token_is_sent(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = "0123456789abcdef"
    with running("up", "--port", 0, "--data-dir", tmp_path, env={"SEGMENTD_TOKENS": f"{token}:read"}) as process:
        url = process.wait_for(r"is up at (http://\S+)")
        assert run("status", "--server", url).status == 1
        monkeypatch.setenv("SEGMENTD_TOKEN", token)
        assert run("status", "--server", url).status == 0
        assert process.end() == 0


@pytest.mark.parametrize(
    ("options", "ready"), [((), "ready: 1 segments"), (("--json",), '"ready":true')], ids=["table", "json"]
)
def test_watching_goes_on_while_the_service_is_away_and_ends_by_the_last_answer(
    options: tuple[str, ...], ready: str
) -> None:
    with (
        answering((503, {"detail": "the store is away"}), (200, READY)) as url,
        running("status", "--watch", "--server", url, *options) as process,
    ):
        process.wait_for("the store is away")
        process.wait_for(ready)
        assert process.end(signal.SIGINT) == 0
