"""One server: commands in, answers out, each sent once. Which errors mean "wait" is told here."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any

from redis.asyncio.client import PubSub
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from consumers.state.store_url import Access, Address
from rules.errors import Unavailable

Argument = str | bytes | int
Command = Sequence[Argument]

_ELSEWHERE = frozenset(("CLUSTERDOWN", "MASTERDOWN", "READONLY"))  # a fail-over
_WAIT = _ELSEWHERE | {  # a full disk or memory, a long script, a start, a slot on its way, too few replicas
    *("MISCONF", "OOM", "BUSY", "LOADING", "TRYAGAIN", "NOREPLICAS", "UNBLOCKED")
}
_NO_MASTER = re.compile("WAIT(AOF)? cannot be used with replica")


def waits(error: Exception) -> str:
    """Why the same command may succeed later: a code of the server's; "" for a mistake of ours."""
    text = str(error)
    code = getattr(error, "status_code", None) or text.partition(" ")[0]
    if _NO_MASTER.search(text):
        return "READONLY"
    return code if code in _WAIT else ""


def is_elsewhere(error: Exception) -> bool:
    """Whether another server may now be the one to ask."""
    return waits(error) in _ELSEWHERE


def must_wait(error: Exception) -> Unavailable:
    """What to raise for an answer that `waits`."""
    return Unavailable(f"the store says {waits(error)}: {error}")


class Node:
    """A server at an address, over a pool of connections."""

    def __init__(self, address: Address, access: Access, connections_max: int) -> None:
        self.address = address
        self._timeout_s = access.timeout_s
        self._pool = access.pool(address, connections_max)

    async def exchange(self, commands: Sequence[Command]) -> list[Any]:
        """The answers, in order, over one connection and in one round trip; an error that the server answers stands
        in its place. Raises Unavailable when the connection fails: any of them may have been carried out, or none.
        """
        pieces = pack(commands)
        try:
            async with asyncio.timeout(self._timeout_s):
                connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        except (RedisError, OSError) as error:
            raise self._away(error) from error
        try:
            async with asyncio.timeout(self._timeout_s):
                await connection.send_packed_command(pieces)
                return [await _answer(connection) for _ in commands]
        except (RedisError, OSError) as error:
            await connection.disconnect(nowait=True)
            raise self._away(error) from error
        except BaseException:  # cancelled: answers are still on their way
            await connection.disconnect(nowait=True)
            raise
        finally:
            await self._pool.release(connection)

    async def ask(self, *command: Argument) -> Any:
        """One command. Raises Unavailable, ResponseError."""
        (answer,) = await self.exchange([command])
        if isinstance(answer, ResponseError):
            if waits(answer):
                raise must_wait(answer) from answer
            raise answer
        return answer

    def subscription(self) -> PubSub:
        """A new subscription, on a connection of its own."""
        return PubSub(connection_pool=self._pool, ignore_subscribe_messages=True)

    async def close(self) -> None:
        """Ends what is on its way too."""
        await self._pool.disconnect()

    def _away(self, error: Exception) -> Unavailable:
        if isinstance(error, AuthenticationError):
            return Unavailable(f"the store lets nobody in by this name and password: {error}")
        why = str(error) or f"{self.address} did not answer in {self._timeout_s:g} s"
        return Unavailable(f"the store is away: {why}")


async def _answer(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


def pack(commands: Sequence[Command]) -> list[bytes]:
    """The commands as they go over the wire, in pieces. (A commit has a key for each profile, for which the library's
    own way takes four times as long: here neighbouring arguments of plain ASCII are encoded at one stroke.)"""
    pieces: list[bytes] = []
    plain: list[str] = []
    for command in commands:
        plain.append(f"*{len(command)}\r\n")
        for argument in command:
            if isinstance(argument, int):
                argument = str(argument)
            if isinstance(argument, str):
                if argument.isascii():
                    plain.append(f"${len(argument)}\r\n{argument}\r\n")
                    continue
                argument = argument.encode()
            plain.append(f"${len(argument)}\r\n")
            pieces += ("".join(plain).encode(), argument)
            plain = ["\r\n"]
    pieces.append("".join(plain).encode())
    return pieces
