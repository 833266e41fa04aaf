"""Which server to ask: one, the master that Sentinels name, or the node of a cluster that has the key's slot."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from redis.exceptions import MovedError, ResponseError

from consumers.state.keys import SLOTS, slot_of
from consumers.state.store_node import Argument, Command, Node
from consumers.state.store_url import Address, Target
from rules.errors import Unavailable

LOOK_S = 1.0
"""How often the Sentinels are asked who is master: one that hangs, or that nobody can reach but us, is let go of."""
LOOK_TIMEOUT_S = 2.0
"""For a server to say what it is, or who has which slot: there are others to ask."""
_SENTINEL_CONNECTIONS = 2


class Routes(Protocol):
    """`clustered`: commands go by their keys; otherwise one node has all."""

    clustered: bool

    async def node(self, slot: int | None) -> Node:
        """Who has that slot (None: any node). Raises Unavailable."""

    async def every(self) -> list[Node]:
        """All that hold data."""

    def doubt(self) -> None:
        """Something failed: look again before the next use."""

    async def close(self) -> None: ...


async def find_routes(target: Target, connections_max: int) -> Routes:
    """For a plain URL this asks the server whether it is a node of a cluster. Raises Unavailable."""
    if target.kind == "sentinel":
        return Sentinels(target, connections_max)
    if target.kind == "cluster":
        return Cluster(target, connections_max)
    node = Node(target.addresses[0], target.access, connections_max)
    if node.address.port and await _is_clustered(node):
        await node.close()
        return Cluster(target, connections_max)
    return Single(node)


async def _is_clustered(node: Node) -> bool:
    try:
        return b"cluster_enabled:1" in await node.ask("INFO", "cluster")
    except ResponseError:  # a user who may not ask: a cluster is then to be named in the URL
        return False
    except BaseException:
        await node.close()
        raise


async def _soon(node: Node, *command: Argument) -> Any:
    """An answer in LOOK_TIMEOUT_S. Raises Unavailable, ResponseError."""
    try:
        async with asyncio.timeout(LOOK_TIMEOUT_S):
            return await node.ask(*command)
    except TimeoutError:
        raise Unavailable(f"{node.address} does not answer") from None


class Single:
    """One server."""

    clustered = False

    def __init__(self, node: Node) -> None:
        self._node = node

    async def node(self, slot: int | None) -> Node:
        return self._node

    async def every(self) -> list[Node]:
        return [self._node]

    def doubt(self) -> None: ...

    async def close(self) -> None:
        await self._node.close()


class Sentinels:
    """The master of a name, as the first Sentinel that answers has it and as the master says itself."""

    clustered = False

    def __init__(self, target: Target, connections_max: int) -> None:
        self._target, self._connections_max = target, connections_max
        self._sentinels = [Node(each, target.sentinels, _SENTINEL_CONNECTIONS) for each in target.addresses]
        self._master: Node | None = None
        self._sure = False
        self._lock = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None

    async def node(self, slot: int | None) -> Node:
        if not self._sure:
            async with self._lock:
                if not self._sure:
                    await self._look()
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch(), name="sentinels")
        assert self._master is not None, "a look that finds no master raises"
        return self._master

    async def every(self) -> list[Node]:
        return [await self.node(None)]

    def doubt(self) -> None:
        self._sure = False

    async def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        for node in [*self._sentinels, *([self._master] if self._master else [])]:
            await node.close()

    async def _watch(self) -> None:
        """A change of master ends what is on its way to the former one."""
        while True:
            await asyncio.sleep(LOOK_S)
            async with self._lock:
                await self._look()

    async def _look(self) -> None:
        """While no Sentinel answers, the master stays who it was. Raises Unavailable when there has been none yet."""
        whys: list[str] = []
        for sentinel in list(self._sentinels):
            try:
                answer = await sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._target.master)
                if answer is None:
                    raise Unavailable(f"it knows no master called {self._target.master}")
                await self._follow(Address(answer[0].decode(), int(answer[1])))
            except (Unavailable, ResponseError) as error:
                whys.append(f"{sentinel.address}: {error}")
                self._sentinels.remove(sentinel)
                self._sentinels.append(sentinel)  # asked last from now on
            else:
                self._sure = True
                return
        if self._master is None:
            raise Unavailable(f"no Sentinel names a master that answers ({'; '.join(whys)})")
        self._sure = True

    async def _follow(self, address: Address) -> None:
        """Raises Unavailable when nobody there says to be master."""
        old = self._master
        if old is not None and old.address == address:
            return
        new = Node(address, self._target.access, self._connections_max)
        try:
            role = (await _soon(new, "ROLE"))[0]
            if role != b"master":
                raise Unavailable(f"{address} is a {role.decode()}")
        except BaseException:
            await new.close()
            raise
        self._master = new
        if old is not None:
            await old.close()


class Cluster:
    """The nodes that have the slots, as any of them tells it; learned anew whenever one says MOVED or fails."""

    clustered = True

    def __init__(self, target: Target, connections_max: int) -> None:
        self._target, self._connections_max = target, connections_max
        self._seeds = list(target.addresses)  # whom to ask, who answered last first
        self._nodes: dict[Address, Node] = {}
        self._slots: list[Address | None] = [None] * SLOTS
        self._current = False
        self._lock = asyncio.Lock()

    async def node(self, slot: int | None) -> Node:
        if not self._current:
            async with self._lock:
                if not self._current:
                    await self._learn()
        if slot is None:
            return self.at(self._seeds[0])
        address = self._slots[slot]
        if address is None:
            self.doubt()
            raise Unavailable(f"no node of the cluster has slot {slot}")
        return self.at(address)

    async def every(self) -> list[Node]:
        await self.node(None)
        return [self.at(address) for address in dict.fromkeys(self._slots) if address is not None]

    def at(self, address: Address) -> Node:
        """The node at an address, known or not."""
        node = self._nodes.get(address)
        if node is None:
            node = self._nodes[address] = Node(address, self._target.access, self._connections_max)
        return node

    def doubt(self) -> None:
        self._current = False

    def moved(self, error: MovedError, told_by: Node) -> None:
        """A node says that a slot is another's now: believed at once, and the rest is learned from that other one."""
        address = self.place(error.host, error.port, told_by)
        self._slots[error.slot_id] = address
        self._ask_first(address)
        self.doubt()

    def place(self, host: str, port: int, told_by: Node) -> Address:
        """Where a redirection points; without a host it is the one that told."""
        return Address(host or told_by.address.host, int(port))

    async def close(self) -> None:
        for node in self._nodes.values():
            await node.close()
        self._nodes.clear()

    def _ask_first(self, address: Address) -> None:
        self._seeds = [address, *(each for each in self._seeds if each != address)]

    async def _learn(self) -> None:
        whys: list[str] = []
        for address in list(self._seeds):
            node = self.at(address)
            try:
                ranges = await _soon(node, "CLUSTER", "SLOTS")
            except (Unavailable, ResponseError) as error:
                whys.append(f"{address}: {error}")
                continue
            if ranges:
                await self._use(ranges, address)
                return
            whys.append(f"{address}: it knows of no slots")
        raise Unavailable(f"no node of the cluster tells who has which slot ({'; '.join(whys)})")

    async def _use(self, ranges: Sequence[Any], told_by: Address) -> None:
        slots: list[Address | None] = [None] * SLOTS
        for first, last, master, *_ in ranges:
            host = (master[0] or b"").decode()
            address = Address(host if host and host != "?" else told_by.host, int(master[1]))
            slots[first : last + 1] = [address] * (last + 1 - first)
        masters = {each for each in slots if each is not None}
        self._slots, self._current = slots, True
        rest = [*self._target.addresses, *sorted(masters)]
        self._seeds = list(dict.fromkeys([told_by, *rest]))
        for address in set(self._nodes) - set(self._seeds):
            await self._nodes.pop(address).close()


# -- the slot of a command -------------------------------------------------------------------------------------------

_ANYWHERE = {"PING", "PUBLISH", "TIME"}
_EVERYWHERE = {
    *("CLIENT", "CLUSTER", "CONFIG", "DBSIZE", "DEBUG", "FLUSHALL", "FLUSHDB"),
    *("INFO", "KEYS", "SCAN", "SCRIPT", "WAITAOF"),
}
_SECOND = {"MEMORY", "OBJECT", "XGROUP", "XINFO"}


def slot_of_command(command: Command) -> int | None:
    """The slot of its (first) key; None: any node will do. ValueError: it concerns no key but a whole server.

    (Keys of several slots are refused by the server: CROSSSLOT.)
    """
    name = str(command[0]).upper()
    if name in ("EVAL", "EVALSHA"):
        return _slot(command[3]) if command[2] else None
    if name in _ANYWHERE:
        return None
    if name in _EVERYWHERE:
        raise ValueError(f"{name} concerns one server of the cluster: use `on_every`")
    if name in ("XREAD", "XREADGROUP"):
        at = [str(each).upper() for each in command].index("STREAMS")
        if len({_slot(key) for key in command[at + 1 : (at + 1 + len(command)) // 2]}) > 1:
            raise ValueError(f"{name} of streams in several slots: a cluster cannot do that")
        return _slot(command[at + 1])
    return _slot(command[2 if name in _SECOND else 1])


def _slot(key: Argument) -> int:
    return slot_of(key if isinstance(key, str) else key.decode() if isinstance(key, bytes) else str(key))
