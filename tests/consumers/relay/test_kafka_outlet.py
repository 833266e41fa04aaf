"""The outlet on a real broker: transactions, fencing, and reading the topic back past what was aborted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.structs import TopicPartition

from consumers.failpoints import set_hook
from consumers.log.kafka.settings import KafkaSettings
from consumers.log.kafka.topics import TopicWrong
from consumers.relay.headers import CONTENT_TYPE
from consumers.relay.kafka import KafkaOutlet
from consumers.relay.port import Fenced, Place, digest_of
from rules.errors import Unavailable
from tests.consumers.relay.kafka_worlds import KafkaWorld, kafka_world, outgoing, values_of
from tests.consumers.relay.worlds import Crashed


@pytest.fixture
async def world(kafka: str) -> AsyncIterator[KafkaWorld]:
    async with kafka_world(kafka) as world:
        yield world


async def end_of(outlet: KafkaOutlet, partition: int) -> Place | None:
    """The place of the newest transition."""
    newest = await outlet.tail(partition)
    return newest.place if newest is not None else None


async def test_a_transition_goes_out_with_its_key_value_and_headers(world: KafkaWorld) -> None:
    outlet = await world.opened()
    first, second = outgoing(1, commit=7), outgoing(2, commit=7, nth=1)._replace(traceparent="00-ab-cd-01")
    await outlet.publish({1: [first, second]})
    records = await world.seen(1)
    assert [(record.key, record.value) for record in records] == [(x.key, x.value) for x in (first, second)]
    assert dict(records[0].headers) == {
        "content-type": CONTENT_TYPE,
        "segmentd-number": b"1",
        "segmentd-commit": b"7:0:1001",
    }
    assert dict(records[1].headers)["traceparent"] == b"00-ab-cd-01"
    assert await end_of(outlet, 1) == Place(7, 1, 1002, 2)
    assert await outlet.tail(0) is None


async def test_all_partitions_share_one_transaction(world: KafkaWorld, crash: Callable[[str], None]) -> None:
    outlet = await world.opened()
    crash("relay.produced")
    with pytest.raises(Crashed):
        await outlet.publish({0: [outgoing(1)], 1: [outgoing(1)]})
    assert len(await world.seen(0, "read_uncommitted")) == len(await world.seen(1, "read_uncommitted")) == 1
    await outlet.open()
    assert await world.values(0) == await world.values(1) == []
    await outlet.publish({0: [outgoing(1)], 1: [outgoing(1)]})
    assert await world.values(0) == await world.values(1) == [outgoing(1).value]


async def test_what_a_crashed_process_had_open_never_shows_once_it_is_fenced(
    world: KafkaWorld, crash: Callable[[str], None]
) -> None:
    crashed, heir = await world.opened("a"), await world.opened("b")
    await crashed.publish({0: [outgoing(1)]})
    crash("relay.produced")
    with pytest.raises(Crashed):
        await crashed.publish({0: [outgoing(2)]})
    await heir.fence(crashed.name)
    assert await end_of(heir, 0) == outgoing(1).place
    await heir.publish({0: [outgoing(2)]})
    assert await world.values() == values_of([outgoing(1), outgoing(2)])


async def test_a_fenced_process_is_told_and_may_publish_again_when_it_opens_anew(world: KafkaWorld) -> None:
    zombie, heir = await world.opened("a"), await world.opened("b")
    await heir.fence(zombie.name)
    with pytest.raises(Fenced):
        await zombie.publish({0: [outgoing(1)]})
    with pytest.raises(Unavailable):
        await zombie.publish({0: [outgoing(1)]})
    assert await world.values() == []
    await zombie.open()
    await zombie.publish({0: [outgoing(1)]})
    assert await world.values() == [outgoing(1).value]


async def test_a_process_fenced_between_produce_and_commit_publishes_nothing(world: KafkaWorld) -> None:
    zombie, heir = await world.opened("a"), await world.opened("b")
    fencing: list[asyncio.Task[None]] = []

    def hook(place: str) -> None:
        if place == "relay.produced":
            fencing.append(asyncio.ensure_future(heir.fence(zombie.name)))

    set_hook(hook)
    try:
        # The commit and the fencing race; whoever comes first, the topic and the zombie agree.
        try:
            await zombie.publish({0: [outgoing(1)]})
            stands = True
        except (Fenced, Unavailable):
            stands = False
        await fencing[0]
    finally:
        set_hook(None)
    tail = await end_of(heir, 0)
    if stands:
        assert tail == outgoing(1).place
    if tail is None:
        assert not stands
    assert await world.places() == ([tail] if tail else [])
    with pytest.raises((Fenced, Unavailable)):
        await zombie.publish({0: [outgoing(2)]})


async def test_the_tail_is_found_past_aborted_records_and_markers(world: KafkaWorld) -> None:
    outlet = await world.opened()
    await world.abort(0, 5)
    assert await outlet.tail(0) is None
    await outlet.publish({0: [outgoing(1), outgoing(2)]})
    await world.abort(0, records=300, transactions=3)
    assert await end_of(outlet, 0) == outgoing(2).place


async def test_no_tail_is_told_while_a_stranger_has_a_transaction_open(
    world: KafkaWorld, crash: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.relay.kafka_reading.SETTLE_S", 0.1)
    stranger, outlet = await world.opened("a"), await world.opened("b")
    await outlet.publish({0: [outgoing(1)]})
    crash("relay.produced")
    with pytest.raises(Crashed):
        await stranger.publish({0: [outgoing(2)]})
    with pytest.raises(Unavailable, match="open in partition 0"):
        await outlet.tail(0)
    await outlet.fence(stranger.name)
    assert await end_of(outlet, 0) == outgoing(1).place


async def test_all_beyond_a_commit_is_found_however_far_back_that_is(
    world: KafkaWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.relay.kafka_reading._WALK_OFFSETS", 10)
    outlet = await world.opened()
    for begin in range(1, 301, 50):
        await outlet.publish({0: [outgoing(number) for number in range(begin, begin + 50)]})
        await world.abort(0, 7)
    found = await outlet.published(0, after_commit=180)
    assert {each.place.number for each in found.values()} == set(range(181, 301))
    one = found["vip:customer-200:1"]
    assert one.place == outgoing(200).place
    assert one.digest == digest_of(outgoing(200).value)
    assert await outlet.value(0, one.offset) == outgoing(200).value
    for number in range(201, 206):  # one right after the other
        assert await outlet.value(0, found[f"vip:customer-{number}:1"].offset) == outgoing(number).value
    assert len(await outlet.published(0, after_commit=0)) == 300
    assert await outlet.published(0, after_commit=300) == {}


async def test_what_retention_dropped_is_simply_not_there(world: KafkaWorld, kafka: str) -> None:
    outlet = await world.opened()
    for number in range(1, 11):
        await outlet.publish({0: [outgoing(number)]})
    offset = (await world.seen())[5].offset
    await _delete_before(kafka, world.topic, offset)
    assert sorted(each.place.number for each in (await outlet.published(0, 0)).values()) == [6, 7, 8, 9, 10]
    with pytest.raises(Unavailable):
        await outlet.value(0, 0)
    await _delete_before(kafka, world.topic, -1)
    assert await outlet.tail(0) is None
    assert await outlet.published(0, 0) == {}


async def test_a_transaction_larger_than_a_request_goes_out_whole_and_in_order(world: KafkaWorld) -> None:
    outlet = await world.opened()
    many = [outgoing(number, text="x" * 3000) for number in range(1, 601)]
    large = outgoing(601, text="y" * 1_500_000)  # more than a batch, and than a broker's default limit
    await outlet.publish({0: [*many, large], 1: many})
    assert await world.values(0) == values_of([*many, large])
    assert await world.values(1) == values_of(many)


async def test_a_broker_that_does_not_answer_is_unavailable_in_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("consumers.relay.kafka.OPEN_S", "consumers.relay.kafka_reading.READ_S"):
        monkeypatch.setattr(name, 0.5)
    nobody = KafkaOutlet(KafkaSettings("127.0.0.1:1"), "nobody", "none")
    try:
        for call in (nobody.open(), nobody.fence("other"), nobody.tail(0), nobody.published(0, 0)):
            with pytest.raises(Unavailable):
                await asyncio.wait_for(call, 10)
    finally:
        await nobody.close()


async def test_a_topic_with_another_number_of_partitions_is_refused_with_the_command(world: KafkaWorld) -> None:
    outlet = world.outlet()
    await outlet.prepare(2)  # as it is
    with pytest.raises(
        TopicWrong, match=r"(?s)has 2 partitions, not 3. It must have as many as the log.*kafka-topics.sh"
    ):
        await outlet.prepare(3)


async def test_a_compacted_topic_is_refused(world: KafkaWorld, kafka: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    compacted = world.topic + "-compacted"
    try:
        await admin.create_topics([NewTopic(compacted, 2, 1, topic_configs={"cleanup.policy": "compact"})])
    finally:
        await admin.close()
    with pytest.raises(TopicWrong, match=r"cleanup.policy=compact"):
        await KafkaOutlet(world.settings, "x", compacted).prepare(2)


async def _delete_before(kafka: str, topic: str, offset: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=offset)})
    finally:
        await admin.close()
