"""The connectors that write to the log: their events, once a call, and rings that end."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from consumers.connectors.log import PROFILE, SEGMENT, LogConnector
from consumers.connectors.port import Subject, customer_view
from consumers.delivery.port import Done, Failed, Item, Outcome, Refused
from consumers.log.partition import partition_of
from consumers.log.port import START, Appended, NewRecord
from consumers.log.redis_streams import RedisLog
from consumers.state.store import Store
from rules.errors import Unavailable
from rules.events import Event
from rules.limits import HOPS_MAX
from rules.records import decode_record

NOW = 1_795_165_200_000  # 2026-11-20T09:00:00Z


class Clock:
    def now_ms(self) -> int:
        return NOW

    def monotonic(self) -> float:
        return 0.0


@pytest.fixture
def profile(log: RedisLog) -> LogConnector:
    return LogConnector("profile", PROFILE, log, Clock())


@pytest.fixture
def segment(log: RedisLog) -> LogConnector:
    return LogConnector("segment", SEGMENT, log, Clock())


def subject(customer: str = "ana", hops: list[str] | None = None, **more: Any) -> Subject:
    data = orjson.dumps({"data": {"hops": hops or []}})
    item = Item(f"vip:{customer}:3", "entered", 0, customer, "vip", sequence=3, time_ms=NOW, data=data)
    view = customer_view(customer, {"city": "Cluj"}, ["gold"])
    return Subject(view, item, {"id": "vip", "name": "", "about": "", "timezone": "Europe/Bucharest"}, **more)


async def written(log: RedisLog) -> list[Event]:
    records = [r for p in range(log.partitions) for r in await log.reread(p, START, 1000)]
    events = [decode_record(record.payload, record.timestamp_ms) for record in records]
    assert [record.partition for record in records] == [
        partition_of(event.customer_id, log.partitions) for event in events if isinstance(event, Event)
    ]
    return [event for event in events if isinstance(event, Event)]


TAG = {"tags": ["vip", "{{ customer.city }}"]}


@pytest.mark.parametrize(
    ("call", "with_", "direction", "properties"),
    [
        ("set", {"attributes": {"city": "{{ customer.city | upcase }}", "n": 1}}, None,
         {"set": {"city": "CLUJ", "n": 1}}),
        ("set", {"attributes": {"city": "x"}}, "remove", {"unset": ["city"]}),
        ("unset", {"attributes": ["city"]}, None, {"unset": ["city"]}),
        ("tag", TAG, None, {"tags_add": ["vip", "Cluj"]}),
        ("tag", TAG, "add", {"tags_add": ["vip", "Cluj"]}),
        ("tag", TAG, "remove", {"tags_remove": ["vip", "Cluj"]}),
        ("untag", {"tags": "gold"}, None, {"tags_remove": ["gold"]}),
        ("untag", {"tags": "gold"}, "remove", {"tags_add": ["gold"]}),
    ],
)  # fmt: skip
async def test_profile_writes_profile_events(
    profile: LogConnector, log: RedisLog, call: str, with_: dict[str, Any], direction: Any, properties: dict[str, Any]
) -> None:
    found = await profile.call(call, with_, [subject(direction=direction)], ["a:vip:ana:3"])
    assert isinstance(found[0], Done)
    [event] = await written(log)
    assert (event.type, event.customer_id, event.ts, event.properties) == ("profile", "ana", NOW, properties)
    assert event.hops == ("vip/a",)


@pytest.mark.parametrize(
    ("call", "with_", "direction", "properties"),
    [
        ("add", {"segment": "other"}, None, {"segment": "other", "action": "add"}),
        ("add", {"segment": "other"}, "remove", {"segment": "other", "action": "clear"}),
        ("remove", {"segment": "other"}, None, {"segment": "other", "action": "remove"}),
        ("add", {"segment": "other", "for": "1mo"}, None,
         {"segment": "other", "action": "add", "until": "2026-12-20T09:00:00Z"}),
    ],
)  # fmt: skip
async def test_segment_writes_changes_by_hand(
    segment: LogConnector, log: RedisLog, call: str, with_: dict[str, Any], direction: Any, properties: dict[str, Any]
) -> None:
    await segment.call(call, with_, [subject(direction=direction)], ["a:vip:ana:3"])
    [event] = await written(log)
    assert (event.type, event.properties) == ("membership", properties)


async def test_the_same_call_again_writes_the_same_event(profile: LogConnector, log: RedisLog) -> None:
    subjects = [subject("ana"), subject("zoe")]
    for _ in range(2):
        await profile.call("tag", TAG, subjects, ["a:vip:ana:3", "a:vip:zoe:3"])
    ids = [event.id for event in await written(log)]
    assert len(ids) == 4
    assert len(set(ids)) == 2


async def test_the_ninth_hop_is_refused_and_names_the_ring(profile: LogConnector, log: RedisLog) -> None:
    before = [f"s{n}/a" for n in range(HOPS_MAX - 1)]
    last, beyond = await profile.call(
        "tag", TAG, [subject("ana", before), subject("zoe", [*before, "s7/a"])], ["a:1", "a:2"]
    )
    assert isinstance(last, Done)
    assert isinstance(beyond, Refused)
    assert beyond.error.endswith("s5/a -> s6/a -> s7/a -> vip/a")
    [event] = await written(log)
    assert event.hops == (*before, "vip/a")


async def test_hops_of_the_event_that_an_action_waited_for_count_too(profile: LogConnector, log: RedisLog) -> None:
    item = Item("vip:ana:event:refund:r", "event", 0, "ana", "vip", data=b'{"event":{"hops":["x/y"]},"sequence":1}')
    await profile.call("tag", TAG, [subject()._replace(item=item)], ["a:1"])
    assert (await written(log))[0].hops == ("x/y", "vip/a")


async def test_one_customer_that_cannot_be_written_costs_no_other(profile: LogConnector, log: RedisLog) -> None:
    with_ = {"attributes": {"x": "{{ customer.age }}"}}
    good = subject("zoe")._replace(customer={**subject("zoe").customer, "age": 4})
    found: list[Outcome] = list(await profile.call("set", with_, [subject("ana"), good], ["a:1", "a:2"]))
    assert isinstance(found[0], Refused)
    assert "age" in found[0].error
    assert isinstance(found[1], Done)
    assert [(event.customer_id, event.properties) for event in await written(log)] == [("zoe", {"set": {"x": 4}})]


class Away(RedisLog):
    async def append(self, records: Any) -> list[Appended]:
        assert all(isinstance(record, NewRecord) for record in records)
        raise Unavailable("no broker", 3.0)


async def test_a_log_that_is_away_is_tried_again(store: Store) -> None:
    connector = LogConnector("profile", PROFILE, Away(store, 2), Clock())
    [outcome] = await connector.call("tag", TAG, [subject()], ["a:1"])
    assert outcome == Failed("the log is away: no broker", retry_after_s=3.0)


def test_what_would_be_written_is_shown(profile: LogConnector) -> None:
    [shown] = profile.render("tag", TAG, [subject()], ["a:1"])
    assert (shown.method, shown.url, shown.customers) == ("LOG", "profile", ["ana"])
    assert orjson.loads(shown.body)["properties"] == {"tags_add": ["vip", "Cluj"]}


def test_mistakes_are_told_where_they_are(profile: LogConnector, segment: LogConnector) -> None:
    told = [
        *profile.check("tag", {"tag": "x"}, "actions[0]"),
        *profile.check("unset", {"attributes": "{{ customr.x }}"}, "actions[1]", both_ways=True),
        *segment.check("add", {"segment": "a", "for": "{{"}, "actions[2]"),
    ]
    assert [mistake.at for mistake in told] == [
        "actions[0].with.tag",
        "actions[0].with.tags",
        "actions[1].use",
        "actions[1].with.attributes",
        "actions[2].with.for",
    ]
