"""Google Ads by the Data Manager API: hashed, in batches, without those that Google names as bad."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager

import pytest

from consumers.delivery.port import Done, Dropped, Failed, Refused
from tests.consumers.connectors.calling import Calling, calling, customer
from tests.consumers.connectors.vendors.google_ads import ACCOUNT, CLIENT, LIST, REFRESH, SECRET
from tests.consumers.connectors.vendors.serving import Remote, vendor

WITH = {"audience": LIST}
SECRETS = {"GOOGLE_CLIENT_ID": CLIENT, "GOOGLE_CLIENT_SECRET": SECRET, "GOOGLE_REFRESH_TOKEN": REFRESH}


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def on(remote: Remote, **settings: str) -> AbstractAsyncContextManager[Calling]:
    known = {"token_url": f"{remote.base}/token", "account": ACCOUNT, "terms": "ACCEPTED", "country": "1"} | settings
    return calling("google_ads", f"{remote.base}/v1", SECRETS, known)


@pytest.fixture
def remote() -> Iterator[Remote]:
    with vendor("google_ads") as found:
        yield found


@pytest.fixture
async def google(remote: Remote) -> AsyncIterator[Calling]:
    async with on(remote) as found:
        yield found


async def test_customers_are_on_the_list_as_long_as_they_are_members(google: Calling, remote: Remote) -> None:
    ana = customer(1, "add", email="Cloudy.SanFrancisco+x@gmail.com", phone="(800)555-0100")
    bea = customer(2, "add", email=None, phone="+44 20 7946 0958")
    outcomes = await google.called("audience", WITH, ana, bea, customer(3, "add"))
    assert all(isinstance(each, Done) for each in outcomes)
    of_ana = [sha256("cloudysanfrancisco@gmail.com"), sha256("+18005550100")]
    others = [[sha256("+442079460958")], [sha256("c3@customer.example")]]
    assert remote.state()["people"] == sorted([of_ana, *others])
    [outcome] = await google.called("audience", WITH, customer(1, "remove", email="cloudysanfrancisco@gmail.com"))
    assert isinstance(outcome, Done)
    assert remote.state()["people"] == sorted(others)
    assert remote.state()["tokens"] == 1, "one token does for all"


async def test_those_that_google_names_are_refused_and_the_rest_is_taken(google: Calling, remote: Remote) -> None:
    bad = [
        {"field": f"audience_members.audience_members[{n}].user_data", "reason": "INVALID_SHA256_FORMAT"}
        for n in (0, 3)
    ]
    details = [{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": bad}]
    await google.called("audience", WITH, customer("first"))
    told = {"error": {"code": 400, "message": "There was a problem.", "status": "INVALID_ARGUMENT", "details": details}}
    remote.script((400, told))
    outcomes = await google.called("audience", WITH, *(customer(n, "add") for n in range(5)))
    assert [n for n, each in enumerate(outcomes) if isinstance(each, Refused)] == [0, 3]
    assert outcomes[0] == Refused("INVALID_SHA256_FORMAT")
    assert all(isinstance(outcomes[n], Done) for n in (1, 2, 4))
    assert len(remote.state()["people"]) == 4


async def test_ten_thousand_go_in_one_request_and_no_more(google: Calling, remote: Remote) -> None:
    assert google.connector.batch_max("audience") == 10_000
    outcomes = await google.called("audience", WITH, *(customer(n, "add") for n in range(10_001)))
    assert all(isinstance(each, Done) for each in outcomes)
    sent = [each for each in remote.seen() if each["path"] != "/token"]
    assert [each["status"] for each in sent] == [200, 200]


async def test_who_has_neither_address_nor_number_is_left_out(google: Calling, remote: Remote) -> None:
    outcomes = await google.called("audience", WITH, customer(1, "add", email=None), customer(2, "add"))
    assert outcomes[0] == Dropped("the customer has no e-mail address or phone number")
    assert isinstance(outcomes[1], Done)


@pytest.mark.parametrize(
    "told",
    [
        (429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric"),
        (503, "UNAVAILABLE", "The service is currently unavailable."),
        (500, "INTERNAL", "Internal error encountered."),
        (403, "PERMISSION_DENIED", "The caller does not have permission"),
    ],
)
async def test_quota_trouble_and_rights_are_for_another_time(
    google: Calling, remote: Remote, told: tuple[int, str, str]
) -> None:
    remote.knobs(status=told)
    [outcome] = await google.called("audience", WITH, customer(1))
    assert isinstance(outcome, Failed)
    assert told[2] in outcome.error
    assert outcome.retry_after_s == 60


async def test_a_token_that_has_ended_is_renewed(google: Calling, remote: Remote) -> None:
    await google.called("audience", WITH, customer(1))
    remote.knobs(revoked=1)
    [outcome] = await google.called("audience", WITH, customer(2))
    assert isinstance(outcome, Done)
    assert remote.state()["tokens"] == 2


async def test_a_list_that_is_not_there_is_refused_by_one_request(google: Calling, remote: Remote) -> None:
    outcomes = await google.called("audience", {"audience": 99}, *(customer(n) for n in range(100)))
    assert all(isinstance(each, Refused) for each in outcomes)
    assert "product_destination_id INVALID_USER_LIST_ID" in str(outcomes[0])
    assert len([each for each in remote.seen() if each["path"] != "/token"]) == 1


async def test_consent_is_said_where_it_is_set_and_not_made_up(google: Calling, remote: Remote) -> None:
    await google.called("audience", WITH, customer(1))
    said = {"ad_user_data": "CONSENT_GRANTED", "ad_personalization": "CONSENT_DENIED"}
    async with on(remote, **said) as found:
        await found.called("audience", WITH, customer(1))
    granted = {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_DENIED"}
    assert remote.state()["consents"] == [{}, granted]


async def test_without_the_terms_accepted_nothing_is_sent(remote: Remote) -> None:
    async with on(remote, terms="") as google:
        [outcome] = await google.called("audience", WITH, customer(1))
    assert isinstance(outcome, Failed)
    assert outcome.error == "the setting `terms` is not set"
    assert remote.state()["people"] == []


async def test_no_secret_is_shown(google: Calling) -> None:
    await google.called("audience", WITH, customer(1))
    [shown] = google.connector.render("audience", WITH, [customer(1)], ["k"])
    for secret in (CLIENT, SECRET, REFRESH, "ya29.token"):
        assert secret not in str(shown)
    assert "customer.example" not in shown.body


def test_a_with_is_checked(google: Calling) -> None:
    assert google.mistakes("audience", WITH) == []
    assert google.mistakes("audience", WITH | {"account": "1"}) == []
    assert [each.at for each in google.mistakes("audience", {})] == ["actions[0].with.audience"]
