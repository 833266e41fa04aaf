"""Any address: what arrives there, signed or not, and how its answers are taken."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator

import pytest
from standardwebhooks.webhooks import Webhook

from consumers.connectors.http import HttpConnector
from consumers.delivery.port import Done, Failed, Refused
from tests.consumers.connectors.playing import keys, packaged, subject
from tests.consumers.connectors.vendors.serving import Remote, vendor

SECRET = "whsec_" + base64.b64encode(b"a secret of at least 24 bytes").decode()
ANA = subject("ana", {"name": "Ana", "phone": None}, "add", {"type": "purchase", "properties": {"amount": 12.5}})
KEYS = keys([ANA])


@pytest.fixture(scope="module")
def place() -> Iterator[Remote]:
    with vendor("anything") as remote:
        yield remote


@pytest.fixture
async def calls(place: Remote) -> AsyncIterator[HttpConnector]:
    async with packaged("webhook", {}) as found:
        yield found


async def test_values_keep_their_types_and_what_is_omitted_is_not_there(place: Remote, calls: HttpConnector) -> None:
    json_ = {
        "who": "{{ customer.id }}",
        "amount": "{{ event.properties.amount }}",
        "all": "{{ event.properties }}",
        "words": "{{ event.properties.amount }} lei",
        "phone": "{{ customer.phone | default: omit }}",
        "way": "{{ direction }}",
        "tags": "{{ customer.tags }}",
        "name": "{{ customer.name | default: null }}",
        "fixed": [1, True, None],
    }
    assert await calls.call("post", {"url": f"{place.base}/in", "json": json_}, [ANA], KEYS) == [Done("HTTP 200", 200)]
    got = place.seen()[-1]
    assert json.loads(got["body"]) == {
        "who": "ana", "amount": 12.5, "all": {"amount": 12.5}, "words": "12.5 lei", "way": "add", "tags": [],
        "name": "Ana", "fixed": [1, True, None],
    }  # fmt: skip
    assert (got["headers"]["content-type"], got["headers"]["idempotency-key"]) == ("application/json", KEYS[0])
    assert "webhook-signature" not in got["headers"]


async def test_without_json_of_its_own_it_says_who_what_and_why(place: Remote, calls: HttpConnector) -> None:
    assert await calls.call("put", {"url": f"{place.base}/in"}, [ANA], KEYS) == [Done("HTTP 200", 200)]
    got = place.seen()[-1]
    body = json.loads(got["body"])
    assert (got["method"], body["customer_id"], body["segment"], body["cause"]) == ("PUT", "ana", "vip", "event")
    assert body["data"] == {"type": "segment.entered"}


async def test_with_a_secret_it_is_signed_as_standard_webhooks_asks(place: Remote) -> None:
    async with packaged("webhook", {"SEGMENTD_SECRET_WEBHOOK_SECRET": SECRET}) as calls:
        url = f"{place.base}/signed"
        assert await calls.call("post", {"url": url, "json": {"ă": 1}}, [ANA], KEYS) == [Done("HTTP 200", 200)]
        [shown] = calls.render("post", {"url": url}, [ANA], KEYS)
    got = place.seen()[-1]
    assert Webhook(SECRET).verify(got["body"], got["headers"]) == {"ă": 1}
    assert shown.headers["webhook-signature"] == "v1,***"


async def test_answers_that_are_no_success(place: Remote, calls: HttpConnector) -> None:
    async def got(call: str, path: str) -> object:
        [outcome] = await calls.call(call, {"url": place.base + path}, [ANA], KEYS)
        return outcome

    assert await got("post", "/gone") == Refused("HTTP 410: gone", 410)
    assert await got("delete", "/gone") == Done("HTTP 410, which is fine here", 410)
    assert await got("get", "/moved") == Failed("HTTP 302; redirects are not followed: mend the address", 302)
    place.script((503, "busy", {"Retry-After": "7"}))
    assert await got("post", "/in") == Failed("HTTP 503: busy", 503, 7.0)


async def test_an_address_inside_is_refused_without_a_call() -> None:
    async with packaged("webhook", {}) as calls:
        [outcome] = await calls.call("get", {"url": "http://169.254.169.254/latest"}, [ANA], KEYS)
        [nonsense] = await calls.call("get", {"url": "ftp://example.com"}, [ANA], KEYS)
    assert isinstance(outcome, Refused)
    assert nonsense == Refused("the address must begin with `https://`")


async def test_a_secret_that_somebody_echoes_is_masked(place: Remote) -> None:
    async with packaged("webhook", {"SEGMENTD_SECRET_WEBHOOK_SECRET": SECRET}) as calls:
        [outcome] = await calls.call("post", {"url": f"{place.base}/echo", "json": {"a": SECRET}}, [ANA], KEYS)
    assert isinstance(outcome, Refused)
    assert SECRET not in outcome.error
    assert "you sent" in outcome.error
