"""Mailchimp: members, batches and tags, on a server that behaves as its documentation says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from consumers.delivery.port import Done, Failed, Refused
from tests.consumers.connectors.calling import Calling, calling, customer
from tests.consumers.connectors.vendors.mailchimp import KEY, LIST, hash_of
from tests.consumers.connectors.vendors.serving import Remote, vendor

WITH = {"list": LIST, "fields": {"FNAME": "{{ customer.name | default: omit }}"}}


@pytest.fixture
def remote() -> Iterator[Remote]:
    with vendor("mailchimp") as found:
        yield found


@pytest.fixture
async def mailchimp(remote: Remote) -> AsyncIterator[Calling]:
    async with calling("mailchimp", f"{remote.base}/3.0", {"MAILCHIMP_API_KEY": KEY}) as found:
        yield found


async def test_a_member_is_added_updated_and_archived_when_they_leave(mailchimp: Calling, remote: Remote) -> None:
    for direction, name in (("add", "Ana"), ("add", "Anna"), ("remove", "Anna"), ("remove", "Anna")):
        subject = customer(1, direction, email=" Ana@Customer.Example ", name=name)  # type: ignore[arg-type]
        [outcome] = await mailchimp.called("member", WITH, subject)
        assert isinstance(outcome, Done)
    [member] = remote.state().values()
    assert member["email_address"] == "ana@customer.example"
    assert member["merge_fields"] == {"FNAME": "Anna"}
    assert member["status"] == "archived"
    path = f"/3.0/lists/{LIST}/members/{hash_of('ana@customer.example')}"
    assert {(each["method"], each["path"]) for each in remote.seen()} == {("PUT", path), ("DELETE", path)}


async def test_who_unsubscribed_stays_so_when_they_are_updated(mailchimp: Calling, remote: Remote) -> None:
    await mailchimp.called("member", WITH, customer(1))
    await mailchimp.called("unsubscribe", {"list": LIST}, customer(1))
    remote.knobs(left=[hash_of("c1@customer.example")])
    [outcome] = await mailchimp.called("member", WITH, customer(1, name="Ana"))
    assert isinstance(outcome, Done)
    member = remote.state()["c1@customer.example"]
    assert (member["status"], member["merge_fields"]) == ("unsubscribed", {"FNAME": "Ana"})


async def test_batches_hold_500_and_name_those_that_were_not_taken(mailchimp: Calling, remote: Remote) -> None:
    remote.knobs(left=[hash_of("c3@customer.example")])
    subjects = [
        customer(n, "add", email="C7@fake.example" if n == 7 else f"C{n}@customer.example") for n in range(1, 702)
    ]
    outcomes = await mailchimp.called("members", WITH, *subjects)
    refused = {n: outcome for n, outcome in enumerate(outcomes, start=1) if not isinstance(outcome, Done)}
    assert set(refused) == {3, 7}
    assert all(isinstance(each, Refused) for each in refused.values())
    assert "compliance state" in str(refused[3])
    assert "looks fake" in str(refused[7])
    assert len(remote.state()) == 699
    assert [each["method"] for each in remote.seen()] == ["POST", "POST"]
    assert mailchimp.connector.batch_max("members") == 500


async def test_those_who_leave_are_unsubscribed_in_batches(mailchimp: Calling, remote: Remote) -> None:
    await mailchimp.called("members", WITH, *(customer(n, "add") for n in range(10)))
    mixed = [customer(n, "remove" if n % 2 else "add") for n in range(10)]
    outcomes = await mailchimp.called("members", WITH, *mixed)
    assert all(isinstance(each, Done) for each in outcomes)
    statuses = {address: each["status"] for address, each in remote.state().items()}
    assert statuses == {f"c{n}@customer.example": "unsubscribed" if n % 2 else "subscribed" for n in range(10)}


async def test_a_tag_is_put_on_and_taken_off(mailchimp: Calling, remote: Remote) -> None:
    tag = {"list": LIST, "tag": "VIP & co"}
    await mailchimp.called("member", WITH, customer(1))
    await mailchimp.called("tag", tag, customer(1, "add"))
    assert remote.state()["c1@customer.example"]["tags"] == ["VIP & co"]
    await mailchimp.called("tag", tag, customer(1, "remove"))
    assert remote.state()["c1@customer.example"]["tags"] == []
    await mailchimp.called("tag", tag, customer(1))
    await mailchimp.called("untag", tag, customer(1))
    assert remote.state()["c1@customer.example"]["tags"] == []
    [stranger] = await mailchimp.called("tag", tag, customer(2, "add"))
    assert isinstance(stranger, Refused)
    [gone] = await mailchimp.called("tag", tag, customer(2, "remove"))
    assert isinstance(gone, Done), "who is not there has no tag"


async def test_what_is_wrong_is_told_in_mailchimps_words(mailchimp: Calling) -> None:
    [outcome] = await mailchimp.called("member", {"list": LIST, "fields": {"SHOE": "42"}}, customer(1))
    assert isinstance(outcome, Refused)
    assert "merge_fields.SHOE This merge field does not exist." in outcome.error
    [outcome] = await mailchimp.called("member", {"list": "nowhere"}, customer(1))
    assert isinstance(outcome, Refused)
    assert "could not be found" in outcome.error


async def test_throttling_and_a_bad_key_are_for_another_time(mailchimp: Calling, remote: Remote) -> None:
    busy = {"title": "Too Many Requests", "detail": "You have exceeded the limit of 10 simultaneous connections."}
    remote.script((429, busy), (503, "busy"))
    for _ in range(2):
        [outcome] = await mailchimp.called("member", WITH, customer(1))
        assert not isinstance(outcome, Done | Refused)
    async with calling("mailchimp", f"{remote.base}/3.0", {"MAILCHIMP_API_KEY": "wrong-wrong-us19"}) as other:
        [outcome] = await other.called("member", WITH, customer(1))
    assert isinstance(outcome, Failed)
    assert "wrong-wrong" not in str(outcome)


async def test_the_key_is_masked_where_a_call_is_shown(mailchimp: Calling) -> None:
    [shown] = mailchimp.connector.render("member", WITH, [customer(1)], ["k"])
    assert KEY not in str(shown)
    assert shown.method == "PUT"
    assert "c1@customer.example" in shown.body


def test_a_with_is_checked(mailchimp: Calling) -> None:
    assert mailchimp.mistakes("member", WITH) == []
    assert mailchimp.mistakes("members", WITH) == []
    assert mailchimp.mistakes("tag", {"list": LIST, "tag": "x"}) == []
    assert [each.at for each in mailchimp.mistakes("tag", {"list": LIST})] == ["actions[0].with.tag"]
    assert mailchimp.mistakes("unsubscribe", {"list": LIST}) != [], "nobody can be made to want mail again"
