"""The feed and the member lists: everything shown once, nothing shown early, no gap between the two."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from consumers.state import feed as feeds
from consumers.state.commit import Commit, Meta, apply, show, take_over, trim_out
from consumers.state.cursors import CursorInvalid
from consumers.state.feed import Feed, PositionInvalid, PositionLost
from consumers.state.keys import PartitionKeys
from consumers.state.members import read_members
from consumers.state.shown import POLL_S
from consumers.state.store import Store

KEYS = [PartitionKeys(0), PartitionKeys(1)]


class Writer:
    """An owner of both partitions that commits what a test says."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.commits, self.numbered = [0, 0], [0, 0]

    async def own(self) -> None:
        for keys in KEYS:
            await take_over(self.store, keys, "writer", 1_000, force=True)

    async def commit(self, partition: int, *transitions: bytes, shown: bool = True, **changes: Any) -> None:
        self.commits[partition] += 1
        number = self.commits[partition]
        await apply(
            self.store,
            KEYS[partition],
            Commit(
                epoch=1,
                commit=number,
                token=str(number),
                position=number,
                clock=number,
                numbered=self.numbered[partition],
                edition=0,
                cursor="",
                profiles={},
                members=changes.get("members", {}),
                timers={},
                timers_off=[],
                judged={},
                transitions=list(transitions),
                dead=[],
                definitions=None,
                triggers=changes.get("triggers", []),
            ),
        )
        self.numbered[partition] += len(transitions)
        if shown:
            await show(self.store, KEYS[partition], partition, Meta(epoch=1, commit=number))


@pytest.fixture
async def writer(store: Store) -> Writer:
    writer = Writer(store)
    await writer.own()
    return writer


async def everything(feed: Feed, position: str, limit: int = 1000) -> list[bytes]:
    found = []
    while items := (page := await feed.read(position, limit)).items:
        found += [item.data for item in items]
        position = page.position
    return found


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_pages_of_any_size_show_everything_once(store: Store, writer: Writer, limit: int) -> None:
    await writer.commit(0, b"a1", b"a2", b"a3")
    await writer.commit(0)
    await writer.commit(0, b"a4")
    await writer.commit(1, b"b1")
    feed = Feed(store, 2)
    found = await everything(feed, await feed.oldest(), limit)
    assert sorted(found) == [b"a1", b"a2", b"a3", b"a4", b"b1"]
    assert [data for data in found if data.startswith(b"a")] == [b"a1", b"a2", b"a3", b"a4"]


async def test_the_position_of_any_item_goes_on_right_after_it(store: Store, writer: Writer) -> None:
    await writer.commit(0, b"a1", b"a2", b"a3")
    await writer.commit(1, b"b1", b"b2")
    feed = Feed(store, 2)
    page = await feed.read(await feed.oldest())
    for at, item in enumerate(page.items):
        assert await everything(feed, item.position) == [later.data for later in page.items[at + 1 :]]
    assert [(item.partition, item.number) for item in page.items] == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2)]


async def test_a_commit_is_seen_only_once_it_is_shown(store: Store, writer: Writer) -> None:
    feed = Feed(store, 2)
    await writer.commit(0, b"a1")
    await writer.commit(0, b"a2", shown=False)
    assert await everything(feed, await feed.oldest()) == [b"a1"]
    now = await feed.now()
    await show(store, KEYS[0], 0, Meta(epoch=1, commit=2))
    assert await everything(feed, now) == [b"a2"]
    assert await everything(feed, await feed.now()) == []


async def test_now_is_before_the_first_commit_while_that_is_not_shown(store: Store, writer: Writer) -> None:
    feed = Feed(store, 2)
    await writer.commit(0, b"a1", shown=False)
    now = await feed.now()
    await show(store, KEYS[0], 0, Meta(epoch=1, commit=1))
    assert await everything(feed, now) == [b"a1"]


async def test_a_waiting_reader_is_woken_when_something_is_shown(store: Store, writer: Writer) -> None:
    feed = Feed(store, 2)
    waiting = asyncio.create_task(feed.wait(await feed.now(), wait_ms=10_000))
    await asyncio.sleep(0.1)
    await writer.commit(1, b"b1")
    assert [item.data for item in (await waiting).items] == [b"b1"]
    page = await feed.wait(await feed.now(), wait_ms=20)
    assert page.items == []
    await feed.close()


# -- many who follow ---------------------------------------------------------------------------------------------------


class Counting:
    """A store that counts the round trips that read the feed."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reads = 0
        calls = store.calls

        async def counted(commands: Sequence[Any]) -> list[Any]:
            self.reads += commands[0][0] == "HGET"
            return await calls(commands)

        monkeypatch.setattr(store, "calls", counted)


async def follow(feed: Feed, position: str, count: int, limit: int = 1000) -> list[bytes]:
    """The next so many transitions, as a program that follows gets them."""
    found: list[bytes] = []
    async with asyncio.timeout(60):
        while len(found) < count:
            page = await feed.wait(position, limit, wait_ms=5_000)
            found += [item.data for item in page.items]
            position = page.position
    return found


async def test_a_hundred_who_follow_cost_no_more_reads_than_one(
    store: Store, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = Feed(store, 2)
    start = await feed.now()
    following = [asyncio.create_task(follow(feed, start, 20)) for _ in range(100)]
    await asyncio.sleep(0.3)  # all of them have found that there is nothing
    counting = Counting(store, monkeypatch)
    begun = asyncio.get_running_loop().time()
    for number in range(10):
        await writer.commit(0, b"a%d" % number)
        await writer.commit(1, b"b%d" % number)
    found = await asyncio.gather(*following)
    for each in found:
        assert [data for data in each if data.startswith(b"a")] == [b"a%d" % number for number in range(10)]
        assert [data for data in each if data.startswith(b"b")] == [b"b%d" % number for number in range(10)]
    polls = (asyncio.get_running_loop().time() - begun) / POLL_S
    assert counting.reads <= 20 + polls + 2, "a read for each commit that is shown, and now and then one for all"
    await feed.close()


@pytest.mark.parametrize(("tail_bytes", "limit"), [(0, 3), (12, 1), (40, 7), (10_000, 1000)])
async def test_whoever_follows_misses_and_doubles_nothing_however_far_back_and_however_small_the_tail(
    store: Store, writer: Writer, monkeypatch: pytest.MonkeyPatch, tail_bytes: int, limit: int
) -> None:
    monkeypatch.setattr(feeds, "_TAIL_BYTES_MAX", tail_bytes)
    monkeypatch.setattr(feeds, "_ENTRIES_A_READ", 4)
    feed = Feed(store, 2)
    random = Random(7)
    written: list[list[bytes]] = [[], []]
    readers: list[tuple[list[int], list[bytes]]] = []  # how much was written before, and what has come
    tasks = []
    for number in range(80):
        if number % 6 == 0:
            for begin, start in (([len(each) for each in written], feed.now), ([0, 0], feed.oldest)):
                readers.append((begin, []))
                tasks.append(asyncio.create_task(collect(feed, await start(), limit, readers[-1][1])))
        partition = random.randrange(2)
        said = [b"%d.%d" % (number, place) for place in range(random.choice((0, 1, 1, 2, 5)))]
        await writer.commit(partition, *said)
        written[partition] += said
        if random.random() < 0.3:
            await asyncio.sleep(random.choice((0, 0.001, 0.02)))
    async with asyncio.timeout(60):
        for begin, found in readers:
            while len(found) < sum(map(len, written)) - sum(begin):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    for begin, found in readers:
        for each, place in zip(written, begin, strict=True):
            assert [data for data in found if data in each] == each[place:]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await feed.close()


async def collect(feed: Feed, position: str, limit: int, found: list[bytes]) -> None:
    while True:
        page = await feed.wait(position, limit, wait_ms=5_000)
        found += [item.data for item in page.items]
        position = page.position


async def test_a_store_that_was_rolled_back_is_believed_more_than_what_was_kept(store: Store, writer: Writer) -> None:
    feed = Feed(store, 2)
    start = await feed.now()
    assert (await feed.wait(start, wait_ms=0)).items == []  # the tail begins here
    await writer.commit(0, b"a1")
    saved = {key: await store.call("DUMP", key) for key in (KEYS[0].out, KEYS[0].meta)}
    await writer.commit(0, b"lost")
    assert await follow(feed, start, 2) == [b"a1", b"lost"]
    for key, value in saved.items():
        await store.call("RESTORE", key, 0, value, "REPLACE")
    writer.commits[0], writer.numbered[0] = 1, 1
    await asyncio.sleep(POLL_S * 1.2)  # nobody says that it was rolled back: it is seen at the next look
    assert [item.data for item in (await feed.wait(start, wait_ms=0)).items] == [b"a1"]
    await writer.commit(0, b"anew")
    assert await follow(feed, start, 2) == [b"a1", b"anew"]
    await feed.close()


@pytest.mark.parametrize("text", ["", "x", "1.1", "1.1-", "1.1-2.2-3.3", "-1.1-2.2", "1.1-2.2 ", "g.1-2.2", "1.1-2"])
async def test_what_is_no_position_is_refused(store: Store, text: str) -> None:
    with pytest.raises(PositionInvalid):
        await Feed(store, 2).read(text)


async def test_a_position_whose_sequel_is_gone_is_told(store: Store, writer: Writer) -> None:
    feed = Feed(store, 2)
    start = await feed.now()
    for n in range(5):
        await writer.commit(0, b"a%d" % n)
    await store.call("XTRIM", KEYS[0].out, "MINID", "4-0")
    with pytest.raises(PositionLost):
        await feed.read(start)
    assert await everything(feed, await feed.oldest()) == [b"a3", b"a4"]


@pytest.mark.parametrize(
    ("keep", "first"), [(1, b"0.0"), (6, b"1.0"), (7, b"1.0"), (10, b"1.0"), (11, b"2.0"), (500, b"99.0")]
)
async def test_the_outbox_keeps_whole_commits_from_the_transition_asked(
    store: Store, writer: Writer, keep: int, first: bytes
) -> None:
    for n in range(100):
        await writer.commit(0, *(b"%d.%d" % (n, place) for place in range(5)))
        await writer.commit(0)
    await trim_out(store, KEYS[0], keep)
    feed = Feed(store, 2)
    kept = await everything(feed, await feed.oldest())
    assert kept[0] == first
    assert kept[-1] == b"99.4"
    await trim_out(store, KEYS[1], keep)


async def test_a_commit_of_triggers_alone_is_kept_with_the_transition_after_it(store: Store, writer: Writer) -> None:
    for n in range(9):
        await writer.commit(0, b"a%d" % n)
        await writer.commit(0, triggers=[b"t%d" % n])
    await trim_out(store, KEYS[0], 5)
    kept = [key for key, _ in await store.call("XRANGE", KEYS[0].out, "-", "+")]
    assert kept[0] == b"8-0"
    assert await everything(feed := Feed(store, 2), await feed.oldest()) == [b"a4", b"a5", b"a6", b"a7", b"a8"]


async def test_commits_of_triggers_alone_keep_nobody_waiting(store: Store, writer: Writer) -> None:
    feed = Feed(store, 2)
    start = await feed.now()
    for n in range(450):
        await writer.commit(0, triggers=[b"t%d" % n])
    await writer.commit(0, b"a")
    page = await feed.wait(start, wait_ms=60_000)
    assert [(item.number, item.data) for item in page.items] == [(1, b"a")]
    await feed.close()


# -- members ----------------------------------------------------------------------------------------------------------


async def pages(store: Store, limit: int) -> list[tuple[str, int]]:
    found, cursor = [], None
    while True:
        page = await read_members(store, KEYS, "vip", limit, cursor)
        found += [(member.customer_id, member.since) for member in page.members]
        cursor = page.cursor
        if cursor is None:
            return found


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
async def test_members_come_newest_first_over_all_partitions(store: Store, writer: Writer, limit: int) -> None:
    await writer.commit(0, members={"vip": ({"ana": 5, "bob": 7, "ção": 5, "x": 5}, [])})
    await writer.commit(1, members={"vip": ({"eve": 7, "dan": 5, "zoe": 1}, [])})
    assert await pages(store, limit) == [
        ("eve", 7),
        ("bob", 7),
        ("ção", 5),
        ("x", 5),
        ("dan", 5),
        ("ana", 5),
        ("zoe", 1),
    ]


async def test_a_cursor_stays_right_when_members_leave_and_come(store: Store, writer: Writer) -> None:
    await writer.commit(0, members={"vip": ({f"c{n}": 5 for n in range(9)}, [])})
    page = await read_members(store, KEYS, "vip", 3, None)
    assert [member.customer_id for member in page.members] == ["c8", "c7", "c6"]
    gone = ["c6", "c7", "c5"]
    await writer.commit(0, members={"vip": ({"c9": 6, "c65": 5}, gone)})
    rest = await read_members(store, KEYS, "vip", 100, page.cursor)
    assert [member.customer_id for member in rest.members] == ["c4", "c3", "c2", "c1", "c0"]
    assert rest.position == page.position


async def test_the_feed_goes_on_where_the_list_was_read(store: Store, writer: Writer) -> None:
    await writer.commit(0, b"ana enters", members={"vip": ({"ana": 1}, [])})
    await writer.commit(1, b"bob enters", members={"vip": ({"bob": 1}, [])}, shown=False)
    page = await read_members(store, KEYS, "vip", 10, None)
    assert {member.customer_id for member in page.members} == {"ana", "bob"}
    await writer.commit(1, b"bob leaves", members={"vip": ({}, ["bob"])})
    assert await everything(Feed(store, 2), page.position) == [b"bob leaves"]


async def test_a_cursor_of_another_list_is_refused(store: Store, writer: Writer) -> None:
    await writer.commit(0, members={"vip": ({"ana": 1, "bob": 2}, [])})
    page = await read_members(store, KEYS, "vip", 1, None)
    for cursor in ("", "!", "AAAA", page.position):
        with pytest.raises(CursorInvalid):
            await read_members(store, KEYS, "vip", 1, cursor)
    with pytest.raises(CursorInvalid, match="vip"):
        await read_members(store, KEYS, "other", 1, page.cursor)
