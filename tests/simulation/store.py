"""The store as a process sees it: `consumers.state.store.Store`, over the simulated network."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import consumers
from consumers.state.store import Argument, Run, Script, Store
from tests.simulation.faults import Network
from tests.simulation.server import Server


class SimStore(Store):
    """Replies and errors as the real one's; nothing of a pipeline is done, or all of it."""

    def __init__(self, server: Server, network: Network) -> None:
        self._server, self._network = server, network

    async def call(self, *command: Argument) -> Any:
        return await self._network.ask("store", lambda: self._server.serve(command))

    async def calls(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        return await self._network.ask("store", lambda: [self._server.serve(each) for each in commands])

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        return await self._network.ask("store", lambda: self._serve(Run(script, keys, args)))

    async def run_durably(self, runs: Sequence[Run]) -> list[Any]:
        return await self._network.ask("store", lambda: [self._serve(each) for each in runs])

    async def call_each(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        return await self.calls(commands)

    async def run_each(self, runs: Sequence[Run]) -> list[Any]:
        return await self.run_durably(runs)

    async def run_each_durably(self, runs: Sequence[Run]) -> list[Any]:
        return await self.run_durably(runs)

    def _serve(self, run: Run) -> Any:
        return self._server.run(run.script, run.keys, run.args, name_of(run.script))

    async def close(self) -> None: ...


_NAMES = {
    hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest(): path.stem
    for path in sorted(Path(consumers.__file__).parent.rglob("*.lua"))
}


def name_of(script: Script) -> str:
    """The script's file, without its ending."""
    return _NAMES[script.sha]
