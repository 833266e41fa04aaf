"""Meta's custom audiences: hashed, in batches, and what its errors mean."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Iterator

import pytest

from consumers.delivery.port import Done, Dropped, Failed, Later, Refused
from tests.consumers.connectors.calling import Calling, calling, customer
from tests.consumers.connectors.vendors.meta import AUDIENCE, TOKEN
from tests.consumers.connectors.vendors.serving import Remote, vendor

WITH = {"audience": AUDIENCE}


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def remote() -> Iterator[Remote]:
    with vendor("meta") as found:
        yield found


@pytest.fixture
async def meta(remote: Remote) -> AsyncIterator[Calling]:
    async with calling("meta", f"{remote.base}/v25.0", {"META_TOKEN": TOKEN}, {"country": "40"}) as found:
        yield found


async def test_customers_are_in_the_audience_as_long_as_they_are_members(meta: Calling, remote: Remote) -> None:
    ana = customer(1, "add", email=" Ana@Customer.example", phone="0721 000 000")
    bea = customer(2, "add", email=None, phone="+44 20 7946 0958")
    cid = customer(3, "add")
    outcomes = await meta.called("audience", WITH, ana, bea, cid)
    assert [str(each.detail) for each in outcomes if isinstance(each, Done)] == ["HTTP 200"] * 3
    expected = [
        ["", sha256("442079460958")],
        [sha256("c3@customer.example"), ""],
        [sha256("ana@customer.example"), sha256("40721000000")],
    ]
    assert remote.state() == sorted(expected)
    gone = customer(1, "remove", email="ana@customer.example")
    back = customer(4, "add")
    outcomes = await meta.called("audience", WITH, gone, back)
    assert all(isinstance(each, Done) for each in outcomes)
    assert remote.state() == sorted([*expected[:2], [sha256("c4@customer.example"), ""]])
    assert sorted(each["method"] for each in remote.seen()) == ["DELETE", "POST", "POST"]


async def test_nothing_of_a_person_leaves_but_hashes_and_nothing_of_the_token_is_shown(
    meta: Calling, remote: Remote
) -> None:
    await meta.called("audience", WITH, customer(1, name="Ana Pop", phone="+40721000000"))
    [seen] = remote.seen()
    whole = str(seen["body"]) + str(seen["path"]) + str(seen["query"])
    assert "customer.example" not in whole
    assert "Ana" not in whole
    assert not re.search(r"\b\+?40721000000", whole)
    [shown] = meta.connector.render("audience", WITH, [customer(1)], ["k"])
    assert TOKEN not in str(shown)


async def test_ten_thousand_go_in_one_request_and_no_more(meta: Calling, remote: Remote) -> None:
    assert meta.connector.batch_max("audience") == 10_000
    outcomes = await meta.called("audience", WITH, *(customer(n, "add") for n in range(10_001)))
    assert all(isinstance(each, Done) for each in outcomes)
    assert len(remote.state()) == 10_001
    assert [each["status"] for each in remote.seen()] == [200, 200]


async def test_who_has_neither_address_nor_number_is_left_out(meta: Calling, remote: Remote) -> None:
    nobody = customer(1, "add", email=None)
    odd = customer(2, "add", email="nobody", phone="ask me")
    outcomes = await meta.called("audience", WITH, nobody, odd, customer(3, "add"))
    assert outcomes[:2] == [Dropped("the customer has no e-mail address or phone number")] * 2
    assert isinstance(outcomes[2], Done)
    assert len(remote.state()) == 1


async def test_what_meta_counts_as_invalid_is_told(meta: Calling, remote: Remote) -> None:
    remote.script((200, {"audience_id": AUDIENCE, "num_received": 2, "num_invalid_entries": 1}))
    outcomes = await meta.called("audience", WITH, customer(1), customer(2))
    assert outcomes == [Done("HTTP 200; 1 not taken, and not said which", 200)] * 2


@pytest.mark.parametrize("code", [4, 17, 613, 80003])
async def test_throttling_pauses_all_calls_and_loses_nobody(meta: Calling, remote: Remote, code: int) -> None:
    remote.knobs(throttled=code)
    [first] = await meta.called("audience", WITH, customer(1))
    [second] = await meta.called("audience", WITH, customer(2))
    assert isinstance(first, Failed)
    assert first.retry_after_s == 300
    assert isinstance(second, Later)
    assert len(remote.seen()) == 1


async def test_a_token_that_is_not_good_can_be_mended(remote: Remote) -> None:
    async with calling("meta", f"{remote.base}/v25.0", {"META_TOKEN": "expired-token"}) as meta:
        [outcome] = await meta.called("audience", WITH, customer(1))
    assert isinstance(outcome, Failed)
    assert "Invalid OAuth access token" in outcome.error
    assert "expired-token" not in outcome.error


async def test_an_audience_that_is_not_there_is_refused_by_one_request(meta: Calling, remote: Remote) -> None:
    outcomes = await meta.called("audience", {"audience": "1203"}, *(customer(n) for n in range(100)))
    assert all(isinstance(each, Refused) for each in outcomes)
    assert "does not exist" in str(outcomes[0])
    assert len(remote.seen()) == 1


def test_a_with_is_checked(meta: Calling) -> None:
    assert meta.mistakes("audience", WITH) == []
    assert [each.at for each in meta.mistakes("audience", {})] == ["actions[0].with.audience"]
