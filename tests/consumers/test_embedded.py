"""The embedded server: one at a time, gone with its parent, everything kept."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from consumers.embedded import DirectoryInUse, Embedded
from consumers.state.store import Store
from rules.errors import Unavailable

CHILD = """
import sys, time
from pathlib import Path
from consumers.embedded import Embedded
server = Embedded(Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
time.sleep(60)
"""


async def _set(url: str, value: str) -> None:
    store = Store.connect(url)
    await store.call("SET", "key", value)
    await store.close()


async def _get(url: str) -> bytes:
    store = Store.connect(url)
    value: bytes = await store.call("GET", "key")
    await store.close()
    return value


async def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    with Embedded(tmp_path / "data") as server:
        await _set(server.url, "kept")
    with Embedded(tmp_path / "data") as server:
        assert await _get(server.url) == b"kept"


def test_a_second_start_on_the_same_directory_names_who_has_it(tmp_path: Path) -> None:
    with Embedded(tmp_path), pytest.raises(DirectoryInUse, match=r"in use by process \d+"):
        Embedded(tmp_path).start()


def test_a_server_whose_parent_was_killed_makes_way(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CHILD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path.cwd()) as child:
        assert child.stdout is not None
        assert int(child.stdout.readline())
        asyncio.run(_set(f"unix://{tmp_path / 'valkey.sock'}", "kept"))
        child.kill()
    with Embedded(tmp_path) as server:
        assert asyncio.run(_get(server.url)) == b"kept"


async def test_a_path_too_long_for_a_socket_is_fine(tmp_path: Path) -> None:
    directory = tmp_path / ("long" * 30)
    with Embedded(directory) as server:
        await _set(server.url, "kept")
    with Embedded(directory) as server:
        assert await _get(server.url) == b"kept"


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    broken = tmp_path / "appendonlydir"
    broken.mkdir()
    (broken / "appendonly.aof.manifest").write_text("nonsense\n")
    with pytest.raises(Unavailable, match=r"(?i)manifest|aof"):
        Embedded(tmp_path).start()
    (broken / "appendonly.aof.manifest").unlink()
    with Embedded(tmp_path):
        pass


def test_stopping_twice_is_harmless(tmp_path: Path) -> None:
    server = Embedded(tmp_path)
    server.start()
    server.stop()
    server.stop()
    assert server.pid is None
