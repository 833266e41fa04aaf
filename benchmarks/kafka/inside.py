"""The inside of a child process: it answers commands, a JSON line each on stdin, by a JSON line each on stdout."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson

Handler = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
STOP = "stop"
_WITHOUT = ("ready", "alive", STOP)


def cpu_s() -> float:
    """What this process has used of the CPU so far, in seconds, all its threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def serve(commands: Mapping[str, Handler]) -> None:
    """Answer commands in turn until `stop` or the end of stdin. `ready`, `alive` and `stop` need no handler."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nobody else's words among the answers
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        asked = orjson.loads(line)
        what = asked.pop("do")
        handler = commands.get(what)
        answer = await handler(asked) if handler is not None else {}
        assert handler is not None or what in _WITHOUT, f"no command `{what}`"
        answers.write(orjson.dumps(answer) + b"\n")
        if what == STOP:
            break
