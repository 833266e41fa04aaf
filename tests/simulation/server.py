"""The store's server: a real Valkey that runs the real scripts, asked synchronously, with the simulation's time."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import hiredis
from redis.exceptions import ResponseError

from consumers.embedded import Embedded
from consumers.state.store import Argument, Script

_READS = frozenset(
    ("GET", "MGET", "EXISTS", "HGET", "HMGET", "HGETALL", "HKEYS", "ZRANGE", "ZCARD", "XRANGE", "XREVRANGE", "XINFO")
)
_TIME = b"redis.call('TIME')"
_SIM_TIME = b"{redis.call('GET', 'sim:s'), redis.call('GET', 'sim:us')}"


Edit = Callable[[str, bytes], bytes]
"""A script's name and source -> the source that runs."""


class Observer(Protocol):
    """Told of every script that ran."""

    def reset(self) -> None:
        """Forget everything: what a rolled-back server still knows is told again."""
        ...

    def __call__(self, name: str, rest: Sequence[Any], answer: Any) -> None:
        """`rest`: the number of KEYS, KEYS, ARGV."""
        ...


class Server:
    """One for many runs: `begin` empties it. `edit` gives a script other words: how mistakes are planted."""

    def __init__(self, embedded: Embedded) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(embedded.url.removeprefix("unix://"))
        self._reader = hiredis.Reader()
        self._shas: dict[tuple[str, bytes], bytes] = {}
        self._names: dict[bytes, str] = {}
        self.ask(("CONFIG", "SET", "appendonly", "no"))
        self.begin(lambda: 0)

    def begin(self, now_ms: Callable[[], int]) -> None:
        """An empty server whose clock this is."""
        self._now_ms = now_ms
        self._writes: list[tuple[bytes, str, Sequence[Any], Any]] = []
        self.edit: Edit = lambda name, source: source
        self.observer: Observer | None = None
        self.ask(("FLUSHALL",))

    def close(self) -> None:
        self._socket.close()

    # -- commands -----------------------------------------------------------------------------------------------------

    def ask(self, command: Sequence[Argument]) -> Any:
        """A command, as it is. Raises ResponseError."""
        return self._send(_pack(command), 1)[0]

    def serve(self, command: Sequence[Argument]) -> Any:
        """A command of the service: remembered if it may write."""
        name = str(command[0]).upper()
        if name == "WAITAOF":
            return [1, 0]
        packed = _pack(command)
        answer = self._send(packed, 1)[0]
        if name not in _READS:
            self._writes.append((packed, "", (), None))
        return answer

    def run(self, script: Script, keys: Sequence[str], args: Sequence[Argument], name: str) -> Any:
        """A script, at the simulation's time."""
        sha, timed = self._sha(script, name)
        rest = (len(keys), *keys, *args)
        packed = _pack(("EVALSHA", sha, *rest))
        count = 1
        if timed:
            now_ms = self._now_ms()
            packed = _pack(("MSET", "sim:s", now_ms // 1000, "sim:us", now_ms % 1000 * 1000)) + packed
            count = 2
        answer = self._send(packed, count)[-1]
        self._writes.append((packed, name, rest, answer))
        if self.observer is not None:
            self.observer(name, rest, answer)
        return answer

    def _sha(self, script: Script, name: str) -> tuple[bytes, bool]:
        source = self.edit(name, script.source)
        sha = self._shas.get((script.sha, source))
        timed = _TIME in source
        if sha is None:
            text = source.replace(_TIME, _SIM_TIME)
            sha = self._shas[script.sha, source] = self.ask(("SCRIPT", "LOAD", text))
        return sha, timed

    def _send(self, packed: bytes, count: int) -> list[Any]:
        self._socket.sendall(packed)
        answers: list[Any] = []
        while len(answers) < count:
            answer = self._reader.gets()
            if answer is False:
                self._reader.feed(self._socket.recv(1 << 20))
                continue
            answers.append(answer)
        for answer in answers:
            if isinstance(answer, hiredis.ReplyError):
                raise ResponseError(str(answer))
        return answers

    # -- a store that forgets -----------------------------------------------------------------------------------------

    @property
    def written(self) -> int:
        return len(self._writes)

    def roll_back(self, writes: int) -> None:
        """Forget the last so many writes, as a fail-over to a replica that was behind, or a restored copy, does."""
        del self._writes[max(0, len(self._writes) - writes) :]
        self.ask(("FLUSHDB",))
        kept, self._writes = self._writes, []
        if self.observer is not None:
            self.observer.reset()
        for packed, name, rest, answer in kept:
            self._send(packed, packed.startswith(b"*5\r\n$4\r\nMSET") + 1)
            self._writes.append((packed, name, rest, answer))
            if name and self.observer is not None:
                self.observer(name, rest, answer)


def _pack(command: Sequence[Argument]) -> bytes:
    packed: bytes = hiredis.pack_command(tuple(command))  # type: ignore[arg-type]  # each of these types is taken
    return packed
