"""Child processes as the benchmark sees them: started, asked, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from typing import Any, Self

import msgspec
import orjson

_STOP_S = 30.0


class Child:
    """One process of `benchmarks.kafka.child`. Every `ask` has one answer; a child that dies raises RuntimeError."""

    def __init__(self, role: str, process: asyncio.subprocess.Process) -> None:
        self._role, self._process = role, process
        self._turn = asyncio.Lock()

    @classmethod
    async def start(cls, role: str, settings: msgspec.Struct) -> Self:
        """Back when it stands ready."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.kafka.child", role, msgspec.json.encode(settings).decode(),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=64 * 1024 * 1024,
        )  # fmt: skip
        child = cls(role, process)
        await child.ask("ready")
        return child

    async def ask(self, what: str, **details: Any) -> dict[str, Any]:
        async with self._turn:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(orjson.dumps({"do": what, **details}) + b"\n")
            line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the {self._role} process ended (status {await self._process.wait()})")
        answer: dict[str, Any] = orjson.loads(line)
        return answer

    async def stop(self) -> dict[str, Any]:
        """Its last words."""
        answer = await self.ask("stop")
        await asyncio.wait_for(self._process.wait(), _STOP_S)
        return answer

    async def end(self) -> None:
        """Whatever state it is in."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


@contextlib.asynccontextmanager
async def child(role: str, settings: msgspec.Struct) -> AsyncIterator[Child]:
    """A child that does not outlive the block."""
    started = await Child.start(role, settings)
    try:
        yield started
    finally:
        await started.end()
