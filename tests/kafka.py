"""A real Apache Kafka broker for tests: that of deploy/dev/kafka, to be stopped, killed and started again."""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "deploy" / "dev" / "kafka" / "kafka"
ADDRESS = "KAFKA_BOOTSTRAP_SERVERS"  # set: use this broker, start none
START_S = 180.0  # the first time the jars are fetched
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_STARTER = ThreadPoolExecutor(1, "kafka")  # a broker dies with the thread that started it: one that stays to the end


def missing() -> str:
    """Why no broker can be started here; "" when one can."""
    if shutil.which("java") is None:
        return "no Kafka: needs Java 17 or newer (java), or KAFKA_BOOTSTRAP_SERVERS"
    if shutil.which("mvn") is None and subprocess.run([SCRIPT, "--jars"], capture_output=True).returncode:
        return "no Kafka: needs Maven (mvn) once to fetch its jars, or KAFKA_BOOTSTRAP_SERVERS"
    return ""


def require_kafka() -> None:
    """Skip the test where no broker can be started; with CI set, that is a failure."""
    if reason := missing():
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


class Broker:
    """One broker on `directory`: started again on it, it has the same data and the same address."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.address = ""  # host:port, once started
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Returns the address when the broker answers. RuntimeError with its log when it does not."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "stderr").open("wb") as errors:
            self._process = _STARTER.submit(_popen, self.directory, errors).result()
        self.address = self._first_line()
        if not self.address:
            self.kill()
            raise RuntimeError((self.directory / "stderr").read_text(errors="replace"))
        return self.address

    def _first_line(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], START_S)
        return self._process.stdout.readline().decode().strip() if ready else ""

    def stop(self) -> None:
        """As an operator does: the broker closes its logs."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        if process.stdout is not None:
            process.stdout.close()

    def suspend(self) -> None:
        """It keeps its connections, and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)  # until then its threads may answer yet

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def restart(self, away_s: float = 0.0) -> None:
        self.stop()
        time.sleep(away_s)
        self.start()


def _popen(directory: Path, errors: IO[bytes]) -> subprocess.Popen[bytes]:
    command = [str(SCRIPT), "--dir", str(directory)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, preexec_fn=_die_with_parent)


def _die_with_parent() -> None:
    """A broker never outlives the tests, however they end."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == 1:
        os._exit(1)
