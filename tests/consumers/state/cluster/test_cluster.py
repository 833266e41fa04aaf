"""A cluster while its slots move, its nodes die, and somebody commits."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio.client import PubSub
from redis.exceptions import ResponseError

from consumers.log.redis_streams import RedisLog
from consumers.state.commit import Commit, Meta, apply, show, take_over
from consumers.state.feed import Feed
from consumers.state.keys import SHOWN_CHANNEL, SLOTS, PartitionKeys, slot_of
from consumers.state.store import Run, Script, Store
from rules.errors import Unavailable
from tests.consumers.state.servers import DEADLINE_S, Process, SlotMove, until
from tests.consumers.state.test_store import COUNT

PARTITIONS = 6
CUSTOMERS = 60


class Owner:
    """As an evaluator it commits without end to one partition: what is away is waited for and done again."""

    def __init__(self, store: Store, partition: int) -> None:
        self.store, self.partition, self.keys = store, partition, PartitionKeys(partition)
        self.commits = 0
        self.profiles: dict[str, bytes] = {}
        self.again = 0
        self.waits: list[str] = []
        self._ended = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def reaches(self, commits: int) -> None:
        await until(f"commit {commits}", lambda: self._reached(commits))

    async def end(self) -> None:
        self._ended = True
        assert self._task is not None
        await asyncio.wait_for(self._task, DEADLINE_S)

    async def _reached(self, commits: int) -> bool:
        assert self._task is not None
        if self._task.done():
            self._task.result()
        return self.commits >= commits

    async def own(self) -> None:
        await take_over(self.store, self.keys, "owner", 10_000, force=True)

    async def _run(self) -> None:
        while not self._ended:
            await self.once()

    async def once(self) -> None:
        commit = self._next()
        while True:
            try:
                self.again += (await apply(self.store, self.keys, commit)).again
                await show(self.store, self.keys, self.partition, Meta(epoch=1, commit=commit.commit))
                break
            except Unavailable as error:
                self.waits.append(str(error))
                await asyncio.sleep(0.005)
        self.commits = commit.commit
        self.profiles |= commit.profiles

    def _next(self) -> Commit:
        number = self.commits + 1
        mine = {f"c{(7 * number + nth) % CUSTOMERS}": b"%d" % number for nth in range(5)}
        mine[f"new-{number}"] = b"%d" % number  # a key that is nowhere yet
        return Commit(
            epoch=1,
            commit=number,
            token=str(number),
            position=number,
            clock=number,
            numbered=self.commits,
            edition=1,
            cursor="",
            profiles=mine,
            members={"vip": (dict.fromkeys(mine, number), [])},
            timers=dict.fromkeys(mine, number),
            timers_off=[],
            judged=dict.fromkeys(mine, 1),
            transitions=[b"%d" % number],
            dead=[],
            definitions=None,
        )

    async def check(self) -> None:
        """Nothing is lost, nothing doubled."""
        meta = Meta.parse(await self.store.call("HGETALL", self.keys.meta))
        assert (meta.commit, meta.numbered, meta.shown) == (self.commits, self.commits, self.commits)
        assert await self.store.call("ZCARD", self.keys.judged) == len(self.profiles)
        values = await self.store.call("MGET", *map(self.keys.profile, self.profiles))
        assert dict(zip(self.profiles, values, strict=True)) == self.profiles
        feed = Feed(self.store, self.partition + 1)
        position, found = await feed.oldest(), []
        while items := (page := await feed.read(position)).items:
            found += [int(item.data) for item in items if item.partition == self.partition]
            position = page.position
        assert found == list(range(1, self.commits + 1))


@pytest.fixture
async def owner(store: Store) -> Owner:
    owner = Owner(store, 0)
    await owner.own()
    return owner


def holder(nodes: list[Process], key: str) -> Process:
    """Who had the slot when the cluster was formed."""
    slot = slot_of(key)
    bounds = [0, SLOTS // 3, 2 * SLOTS // 3, SLOTS]
    [at] = [at for at in range(3) if bounds[at] <= slot < bounds[at + 1]]
    return nodes[at]


async def told(nodes: list[Process], code: str) -> int:
    """How often the nodes have answered with that code."""
    count = 0
    for node in nodes:
        for line in (await node.ask("INFO", "errorstats")).decode().splitlines():
            if line.startswith(f"errorstat_{code}:"):
                count += int(line.partition("=")[2])
    return count


async def test_nothing_is_lost_or_doubled_while_a_slot_moves(nodes: list[Process], store: Store, owner: Owner) -> None:
    source = holder(nodes, owner.keys.meta)
    target, other = [node for node in nodes if node is not source]
    reader = Store.connect(other.url)
    before = {code: await told(nodes, code) for code in ("MOVED", "ASK", "TRYAGAIN")}
    owner.start()
    try:
        await owner.reaches(20)
        for there, back in ((source, target), (target, source)):  # and home again
            move = SlotMove(slot_of(owner.keys.meta), there, back, [other])
            await move.begin()
            await _move_keys(move, owner, reader)
            await move.end()
            await owner.reaches(owner.commits + 20)
    finally:
        await owner.end()
        await reader.close()
    await owner.check()
    after = {code: await told(nodes, code) for code in before}
    assert all(after[code] > before[code] for code in before), (before, after)
    assert any("TRYAGAIN" in why for why in owner.waits)


async def _move_keys(move: SlotMove, owner: Owner, reader: Store) -> None:
    """Key by key, while somebody else reads what has gone and what has not."""
    while keys := await move.keys():
        meta = owner.keys.meta.encode()
        for key in sorted(keys, key=lambda key: key != meta):  # the first key to go is one that is asked for alone
            await move.key(key)
            assert int(await reader.call("HGET", owner.keys.meta, "commit")) >= owner.commits
            assert await reader.call("EXISTS", owner.keys.judged) == 1


async def test_a_slot_moved_at_one_stroke_keeps_nobody_waiting_for_long(
    nodes: list[Process], store: Store, owner: Owner
) -> None:
    source = holder(nodes, owner.keys.meta)
    target = next(node for node in nodes if node is not source)
    slot = slot_of(owner.keys.meta)
    owner.start()
    try:
        await owner.reaches(20)
        for there, back in ((source, target), (target, source)):
            name = await back.ask("CLUSTER", "MYID")
            await there.ask("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", name)
            await until("it has the slot", lambda back=back: _has_slot(back, slot))  # type: ignore[misc]
            await owner.reaches(owner.commits + 20)
    finally:
        await owner.end()
    await owner.check()
    assert not any("TRYAGAIN" in why for why in owner.waits)


async def _has_slot(node: Process, slot: int) -> bool:
    port = next(master[1] for first, last, master, *_ in await node.ask("CLUSTER", "SLOTS") if first <= slot <= last)
    return bool(port == node.port)


async def test_many_owners_share_the_nodes(nodes: list[Process], store: Store) -> None:
    owners = [Owner(store, partition) for partition in range(PARTITIONS)]
    for each in owners:
        await each.own()
    await asyncio.gather(*(each.once() for each in owners))
    for _ in range(5):
        await asyncio.gather(*(each.once() for each in owners))
    for each in owners:
        await each.check()
    assert all(size > 0 for _, size in await store.on_every("DBSIZE"))


async def test_several_commands_and_scripts_of_many_slots_are_answered_in_their_order(store: Store) -> None:
    keys = [f"key-{n}" for n in range(50)]
    assert await store.calls([("SET", key, key) for key in keys]) == [b"OK"] * 50
    assert await store.calls([("GET", key) for key in keys]) == [key.encode() for key in keys]
    counted = [Run(COUNT, [f"count-{n % 10}"], []) for n in range(50)]
    assert await store.run_durably(counted) == [1 + n // 10 for n in range(50)]
    await store.on_every("SCRIPT", "FLUSH")
    assert await store.run_durably(counted) == [6 + n // 10 for n in range(50)]


async def test_what_a_cluster_cannot_do_is_refused_and_says_so(store: Store) -> None:
    with pytest.raises(ResponseError, match="slot"):
        await store.call("MGET", "a", "b")
    with pytest.raises(ValueError, match="on_every"):
        await store.call("FLUSHALL")
    with pytest.raises(ValueError, match="several slots"):
        await store.call("XREAD", "COUNT", 1, "STREAMS", "a", "b", "0", "0")
    with pytest.raises(ValueError, match="KAFKA_BOOTSTRAP_SERVERS"):
        await RedisLog(store, 2).prepare()


async def test_a_script_that_touches_a_key_it_was_not_told_of_is_found_out(store: Store) -> None:
    class Sneaky(Script):
        def __init__(self) -> None:
            self.source, self.sha = b"return redis.call('GET', 'b')", "0" * 40

    with pytest.raises(ResponseError, match=r"(?i)slot|undeclared|non local"):
        await store.run(Sneaky(), ["a"], [])


async def test_what_any_owner_shows_is_heard_at_any_node(nodes: list[Process], store: Store) -> None:
    owners = [Owner(store, partition) for partition in range(PARTITIONS)]
    for each in owners:
        await each.own()
    for node in nodes:
        listener = Store.connect(node.url)
        async with listener.subscription() as subscription:
            await subscription.subscribe(SHOWN_CHANNEL)
            heard: set[int] = set()

            async def all_heard(subscription: PubSub = subscription, heard: set[int] = heard) -> bool:
                for each in owners:  # again and again: what is said before one listens is not kept
                    await each.once()
                while message := await subscription.get_message(timeout=0.05):
                    heard.add(int(message["data"]))
                return heard == set(range(PARTITIONS))

            await until("every partition's hint was heard", all_heard)
        await listener.close()


async def test_a_node_that_dies_keeps_its_partitions_waiting_and_no_others(nodes: list[Process], store: Store) -> None:
    owners = [Owner(store, partition) for partition in range(PARTITIONS)]
    for each in owners:
        await each.own()
        await each.once()
    dead = holder(nodes, owners[0].keys.meta)
    lost = [each for each in owners if holder(nodes, each.keys.meta) is dead]
    alive = [each for each in owners if each not in lost]
    assert lost
    assert alive
    dead.kill()
    waiting = [asyncio.create_task(each.once()) for each in lost]
    try:
        for each in alive:  # until the others notice, and then the cluster says CLUSTERDOWN: that is its setting
            await apply(store, each.keys, each._next())
        await until("they wait", lambda: _all_wait(lost))
        for every in (store.run_each_durably, store.run_each):
            answers = await every([Run(COUNT, [each.keys.meta + ":count"], []) for each in owners])
            assert [isinstance(answer, Unavailable) for answer in answers] == [each in lost for each in owners]
        answers = await store.call_each([("HGET", each.keys.meta, "commit") for each in owners])
        assert [isinstance(answer, Unavailable) for answer in answers] == [each in lost for each in owners]
    finally:
        await dead.start()
    await asyncio.gather(*waiting)
    for each in lost:
        await each.check()
    for each in alive:
        await each.once()
        await each.check()


async def _all_wait(owners: list[Owner]) -> bool:
    return all(each.waits for each in owners)
