"""A subscription as a target: what it wants, what it sends, and what answers mean."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import orjson
import pytest
from standardwebhooks.webhooks import Webhook

from consumers.delivery.port import Call, Done, Failed, Gone, Item, Outcome, Turn
from consumers.outbound import Answer, Outbound
from consumers.state.store import Store
from consumers.webhooks.documents import Document
from consumers.webhooks.registry import Subscription, Subscriptions
from consumers.webhooks.sealing import Seal
from consumers.webhooks.target import BODY_BYTES_MAX, WebhookTarget, cut, outcome_of
from tests.consumers.outbound.servers import Behave, read_request, server
from tests.consumers.webhooks.worlds import SECRET_URL, FakeClock, Receiver, item, receiver


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    made = Outbound(["127.0.0.0/8"])
    yield made
    await made.close()


def target_of(outbound: Outbound, store: Store, skip_to: str = "", **document: Any) -> WebhookTarget:
    subscription = Subscription("sub_1", 1, Document(SECRET_URL, **document), [], "1.0-1.0", skip_to=skip_to)
    return WebhookTarget(subscription, Subscriptions(store), outbound, FakeClock(), 5)


def test_what_a_target_is_follows_from_its_document(outbound: Outbound, store: Store) -> None:
    target = target_of(outbound, store, concurrency=7, per_second=2.5)
    assert (target.id, target.active, target.begin) == ("sub/sub_1", True, "1.0-1.0")
    assert (target.concurrency, target.per_second, target.batch_max, target.remembers_done) == (7, 2.5, 1, False)
    assert target.key(item(customer="a b")) == "vip:a%20b:1"
    paused = msgspec.structs.replace(target.subscription, state="paused")
    assert not WebhookTarget(paused, Subscriptions(store), outbound, FakeClock(), 5).active


@pytest.mark.parametrize(
    ("document", "wanted"),
    [
        ({}, item()),
        ({}, item("exited")),
        ({"segments": ["vip", "new"]}, item(segment="vip")),
        ({"kinds": ["exited"]}, item("exited")),
        ({"leave_out": []}, item(cause="backfill")),
        ({}, item(cause="manual")),
    ],
)
def test_what_a_subscription_asks_for_is_its_own_in_order_of_each_customer(
    outbound: Outbound, store: Store, document: dict[str, Any], wanted: Item
) -> None:
    assert target_of(outbound, store, **document).turn(wanted) == Turn(lane="13748")


@pytest.mark.parametrize(
    ("document", "other"),
    [
        ({"segments": ["new"]}, item(segment="vip")),
        ({"kinds": ["exited"]}, item("entered")),
        ({"kinds": ["subscription.disabled"]}, item("entered")),
        ({}, item(cause="backfill")),
        ({}, item(cause="definition")),
        ({}, item("event")),
        ({}, item("run")),
        ({}, item("notice")),
    ],
)
def test_what_it_does_not_ask_for_is_not(
    outbound: Outbound, store: Store, document: dict[str, Any], other: Item
) -> None:
    assert target_of(outbound, store, **document).turn(other) is None


def test_a_notice_is_for_those_who_asked_and_in_nobodys_order(outbound: Outbound, store: Store) -> None:
    target = target_of(outbound, store, kinds=["entered", "subscription.disabled"])
    assert target.turn(item("notice")) == Turn()


def test_what_happened_before_it_was_resumed_from_now_is_left_out(outbound: Outbound, store: Store) -> None:
    target = target_of(outbound, store, skip_to="9.7-3.0")
    assert target.turn(item(number=7)) is None
    assert target.turn(item(number=8)) is not None
    other = msgspec.structs.replace(item(number=1), partition=1)
    assert target.turn(other) is not None


# -- calls ------------------------------------------------------------------------------------------------------------


async def delivered(
    outbound: Outbound, store: Store, to: Receiver, what: Item, seal: Seal | None = None, signing: Seal | None = None
) -> tuple[Outcome, str]:
    """The outcome of one call to a receiver, and the subscription's secret."""
    registry = Subscriptions(store, seal)
    entry, secret = await registry.create(Document(to.url), "", 10)
    target = WebhookTarget(entry, Subscriptions(store, signing or seal), outbound, RealClock(), 5)
    [outcome] = await target.call([Call(what, target.key(what), 1, 0)])
    return outcome, secret


class RealClock(FakeClock):
    """The verifier of the standard compares with the machine's own clock."""

    def __init__(self) -> None:
        super().__init__(time.time_ns() // 1_000_000)


async def test_a_delivery_is_the_cloud_event_signed_as_the_standard_says(outbound: Outbound, store: Store) -> None:
    what = item(customer="ana@example.com")
    async with receiver() as to:
        outcome, secret = await delivered(outbound, store, to, what)
    assert outcome == Done("HTTP 204", 204)
    [(headers, body)] = to.taken
    assert body == what.data
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"] == "vip:ana%40example%2Ecom:1"
    assert Webhook(secret).verify(body, headers) == orjson.loads(what.data)


async def test_each_attempt_has_its_own_time_and_the_same_id(outbound: Outbound, store: Store) -> None:
    clock = FakeClock()
    async with receiver() as to:
        registry = Subscriptions(store, clock=clock)
        entry, _ = await registry.create(Document(to.url), "", 10)
        target = WebhookTarget(entry, registry, outbound, clock, 5)
        for attempt in (1, 2):
            await target.call([Call(item(), target.key(item()), attempt, 0)])
            clock.ms += 5_000
    [(first, _), (second, _)] = to.taken
    assert first["webhook-id"] == second["webhook-id"]
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 5
    assert first["webhook-signature"] != second["webhook-signature"]


async def test_a_secret_that_cannot_be_read_is_a_failure_and_nothing_is_sent(outbound: Outbound, store: Store) -> None:
    async with receiver() as to:
        outcome, _ = await delivered(outbound, store, to, item(), Seal(["a" * 32]), Seal(["b" * 32]))
        assert isinstance(outcome, Failed)
        assert "webhook_key" in outcome.error
        assert to.taken == []


async def test_an_address_that_is_not_allowed_is_a_failure_that_says_so(store: Store) -> None:
    outbound = Outbound()
    async with receiver() as to:
        outcome, _ = await delivered(outbound, store, to, item())
        assert to.taken == []
    assert isinstance(outcome, Failed), "what refuses is a setting or a name, and both are mended"
    assert "outbound_allow" in outcome.error
    await outbound.close()


NOW = 1_795_000_000_000


@pytest.mark.parametrize(
    ("status", "headers", "outcome"),
    [
        (200, {}, Done("HTTP 200", 200)),
        (299, {}, Done("HTTP 299", 299)),
        (410, {}, Gone("HTTP 410: the receiver wants no more", 410)),
        (404, {}, Failed("HTTP 404", 404)),
        (500, {"retry-after": "60"}, Failed("HTTP 500", 500)),
        (503, {"retry-after": "60"}, Failed("HTTP 503", 503, 60.0)),
        (429, {"retry-after": " 0 "}, Failed("HTTP 429", 429, 0.0)),
        (429, {"retry-after": "Wed, 18 Nov 2026 11:07:20 GMT"}, Failed("HTTP 429", 429, 40.0)),
        (429, {"retry-after": "Wed, 18 Nov 2026 11:00:00 GMT"}, Failed("HTTP 429", 429, 0.0)),
        (429, {"retry-after": "-1"}, Failed("HTTP 429", 429)),
        (429, {"retry-after": "9" * 400}, Failed("HTTP 429", 429, 999_999_999_999.0)),
        (429, {"retry-after": "soon"}, Failed("HTTP 429", 429)),
        (429, {}, Failed("HTTP 429", 429)),
        (301, {"location": "https://x.example.com/"}, None),
        (199, {}, Failed("HTTP 199", 199)),
    ],
)
def test_what_an_answer_means(status: int, headers: dict[str, str], outcome: Outcome | None) -> None:
    found = outcome_of(Answer(status, headers, b"whatever"), NOW)
    if outcome is None:
        assert isinstance(found, Failed)
        assert "redirects are not followed" in found.error
        assert "example.com" not in found.error
    else:
        assert found == outcome


def test_a_body_that_is_too_large_loses_the_end_of_its_why_and_says_so() -> None:
    why = [{"at": f"enter.all[{n}]", "holds": True, "value": "x" * 100} for n in range(400)]
    data = item(why=why).data
    assert len(data) > BODY_BYTES_MAX
    sent = cut(data)
    assert BODY_BYTES_MAX - 300 < len(sent) < BODY_BYTES_MAX
    event = orjson.loads(sent)
    kept = event["data"]["why"]
    assert event["data"]["why_cut"] is True
    assert kept == why[: len(kept)]
    assert cut(item(why=why[:3]).data) == item(why=why[:3]).data


# -- hostile receivers: one outcome, in bounded time -------------------------------------------------------------------


async def _drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def _never_ends(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(bytes(64 * 1024))
        await writer.drain()


async def _bombs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    bomb = gzip.compress(bytes(16 * 1024 * 1024))
    writer.write(b"HTTP/1.1 500 No\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(bomb) + bomb)
    await reader.read()


async def _has_huge_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nx: " + b"x" * 1024 * 1024)
    await reader.read()


async def _redirects_to_itself(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 302 Again\r\nlocation: /hook\r\ncontent-length: 0\r\n\r\n")
    await reader.read()


@pytest.mark.parametrize(
    ("behave", "outcome"),
    [
        (_drips, Failed("no whole answer within 1 s")),
        (_never_ends, Done("HTTP 200", 200)),
        (_bombs, Failed("HTTP 500", 500)),
        (_has_huge_headers, Failed("the connection broke before an answer, or the answer is no HTTP")),
        (_redirects_to_itself, None),
    ],
)
async def test_a_hostile_receiver_is_one_outcome_in_bounded_time(
    outbound: Outbound, store: Store, behave: Behave, outcome: Outcome | None
) -> None:
    async with server(behave) as port:
        registry = Subscriptions(store)
        entry, _ = await registry.create(Document(f"http://127.0.0.1:{port}/hook"), "", 10)
        target = WebhookTarget(entry, registry, outbound, FakeClock(), 1 if behave is _drips else 20)
        [found] = await target.call([Call(item(), "key", 1, 0)])
    if outcome is None:
        assert isinstance(found, Failed)
        assert found.status == 302
    else:
        assert found == outcome
