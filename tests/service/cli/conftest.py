"""Runs commands in this process (what they print, and their exit status), and services as processes of their own."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from service.cli import main

START_S = 60.0


@dataclass
class Ran:
    """What a command printed, and its exit status."""

    out: str
    err: str
    status: int


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("COLUMNS", "200")

    def command(*arguments: object) -> Ran:
        status = 0
        try:
            main([str(each) for each in arguments])
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
        captured = capsys.readouterr()
        return Ran(captured.out, captured.err, status)

    return command


class Process:
    """A `segmentd` process; its lines as they come."""

    def __init__(self, *arguments: object, env: dict[str, str] | None = None) -> None:
        command = [sys.executable, "-c", "from service.cli import main; main()", *map(str, arguments)]
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SEGMENTD_", "REDIS_URL", "KAFKA_BOOTSTRAP"))
        }
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**clean, **(env or {})}
        )
        self.pid = self._process.pid
        self.lines: list[str] = []
        self._read_all = False
        self._queue: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._queue.put(line.rstrip("\n"))
        self._queue.put(None)

    def wait_for(self, pattern: str) -> str:
        """What the pattern's group (or all of it) is in the first line from now on that has it.

        Fails if the process ends before.
        """
        while True:
            line = self._queue.get(timeout=START_S)
            if line is None:
                self._read_all = True
                raise AssertionError("the process ended:\n" + "\n".join(self.lines))
            self.lines.append(line)
            if found := re.search(pattern, line):
                return found[found.re.groups]

    def end(self, number: int = signal.SIGTERM) -> int:
        """Sends the signal (0: none, it ends by itself); answers the exit status."""
        if number and self._process.poll() is None:
            self._process.send_signal(number)
        status = self._process.wait(START_S)
        while not self._read_all:
            line = self._queue.get(timeout=START_S)
            self._read_all = line is None
            if line is not None:
                self.lines.append(line)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return status


@contextlib.contextmanager
def running(*arguments: object, env: dict[str, str] | None = None) -> Iterator[Process]:
    process = Process(*arguments, env=env)
    try:
        yield process
    finally:
        process.end(signal.SIGKILL)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an embedded service of this module's own, which is ready."""
    with running("up", "--port", 0, "--data-dir", tmp_path_factory.mktemp("data")) as process:
        url = process.wait_for(r"is up at (http://\S+)")
        deadline = time.monotonic() + START_S
        while (answer := httpx2.get(f"{url}/readyz")).status_code != 200:
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.05)
        yield url
        assert process.end() == 0


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    def file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return file
