"""Mail over HTTP: the link by which somebody unsubscribes, and the list of those who get none."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import httpx2
import pytest
from pydantic import SecretStr

from consumers.connectors.mail.addresses import parse_address
from consumers.connectors.mail.suppression import Suppressions
from consumers.connectors.mail.tokens import Keys
from service.auth import parse_tokens
from service.mail import mail_settings, suppressions_of
from service.settings import Settings
from service.wiring import Services
from tests.service.conftest import client_of, opened

SECRET = "a secret of thirty-two characters or more"
ANA = parse_address("ana@customer.example")
MANAGER = {"Authorization": "Bearer manager-manager-manager"}
COMPLETE = {
    "mail_host": "mail.shop.example",
    "mail_from": "The Shop & Co <hello@shop.example>",
    "mail_public_url": "https://segments.shop.example/",
    "mail_secret": SecretStr(SECRET),
}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    tokens = parse_tokens("manager-manager-manager:manage,reader-reader-reader:read")
    return settings.model_copy(update=COMPLETE | {"tokens": tokens})


@pytest.fixture
def keys() -> Keys:
    return Keys([SECRET])


@pytest.fixture
async def anybody(services: Services) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(services) as client:
        yield client


@pytest.fixture
async def manager(services: Services) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(services, **MANAGER) as client:
        yield client


def link(keys: Keys, customer: str = "c-7") -> str:
    return f"/v1/mail/unsubscribe/{keys.token(ANA, customer)}"


async def attribute(client: httpx2.AsyncClient, customer: str) -> object:
    """What the profile says, as soon as it says anything."""
    async with asyncio.timeout(30):
        while True:
            found = await client.get(f"/v1/customers/{customer}")
            if found.status_code == 200 and "email_unsubscribed" in found.json()["attributes"]:
                return found.json()["attributes"]["email_unsubscribed"]
            await asyncio.sleep(0.02)


async def records(services: Services) -> int:
    return sum(each.last for each in await services.log.bounds() if each.first is not None)


async def test_one_click_unsubscribes_without_a_token_and_the_log_hears_of_it_once(
    services: Services, anybody: httpx2.AsyncClient, manager: httpx2.AsyncClient, keys: Keys
) -> None:
    address = link(keys)
    form = {"List-Unsubscribe": "One-Click"}
    first = await anybody.post(address, data=form)
    assert first.status_code == 200
    assert "You get no more mail from The Shop &amp; Co." in first.text
    assert await attribute(manager, "c-7") is True
    entry = await Suppressions(services.store, keys).find(ANA)
    assert entry is not None
    assert (entry.why, entry.told) == ("unsubscribed", True)
    before = await records(services)
    for _ in range(3):
        assert (await anybody.post(address, content=b"\0" * 100_000)).status_code == 200
    assert await Suppressions(services.store, keys).find(ANA) == entry
    assert await records(services) == before


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_looking_at_the_link_changes_nothing(
    services: Services, anybody: httpx2.AsyncClient, keys: Keys, method: str
) -> None:
    found = await anybody.request(method, link(keys))
    assert found.status_code == 200
    assert found.headers["content-type"].startswith("text/html")
    assert await Suppressions(services.store, keys).count() == 0
    if method == "GET":
        assert re.search(r'<form method="post"><button name="List-Unsubscribe" value="One-Click">', found.text)
        assert "No more mail from The Shop &amp; Co?" in found.text
        assert "form-action 'self'" in found.headers["content-security-policy"]
        assert "ana" not in found.text


@pytest.mark.parametrize("token", ["x", "A" * 60, "..%2F..%2Fetc", "%00", "A" * 5000])
async def test_a_link_that_is_not_ours_does_nothing(
    services: Services, anybody: httpx2.AsyncClient, keys: Keys, token: str
) -> None:
    for method in ("GET", "POST"):
        found = await anybody.request(method, f"/v1/mail/unsubscribe/{token}")
        assert found.status_code == 404
        assert "<h1>Not found</h1>" in found.text
    assert await Suppressions(services.store, keys).count() == 0


async def test_a_customer_whose_id_is_odd_can_unsubscribe_too(
    services: Services, anybody: httpx2.AsyncClient, keys: Keys
) -> None:
    assert (await anybody.post(link(keys, "a/b?c#d %2F ș"))).status_code == 200
    assert await Suppressions(services.store, keys).count() == 1


async def test_the_list_says_how_many_and_whether_one_address_is_on_it(
    manager: httpx2.AsyncClient, services: Services, keys: Keys
) -> None:
    nobody = {"suppressed": False, "why": None, "since": None}
    assert (await manager.get("/v1/mail/suppressions")).json() == {"count": 0}
    asked = {"address": "Ana@Customer.example"}
    assert (await manager.get("/v1/mail/suppressions", params=asked)).json() == {"count": 0, "address": nobody}
    put = await manager.put("/v1/mail/suppressions", params=asked)
    assert put.status_code == 200
    found = (await manager.get("/v1/mail/suppressions", params=asked)).json()
    assert found["count"] == 1
    assert (found["address"]["suppressed"], found["address"]["why"]) == (True, "unsubscribed")
    assert (await manager.delete("/v1/mail/suppressions", params=asked)).status_code == 204
    assert (await manager.delete("/v1/mail/suppressions", params=asked)).status_code == 404
    assert (await manager.get("/v1/mail/suppressions", params=asked)).json() == {"count": 0, "address": nobody}


async def test_what_is_no_address_is_told_without_repeating_it(manager: httpx2.AsyncClient) -> None:
    found = await manager.get("/v1/mail/suppressions", params={"address": "secret person"})
    assert found.status_code == 400
    assert "secret person" not in found.text


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer reader-reader-reader"}])
async def test_the_list_is_for_who_manages(services: Services, headers: dict[str, str]) -> None:
    async with client_of(services, **headers) as client:
        for method in ("GET", "PUT", "DELETE"):
            found = await client.request(method, "/v1/mail/suppressions", params={"address": ANA.text})
            assert found.status_code in (401, 403)


async def test_where_mail_is_not_set_up_there_is_no_list_and_no_link(settings: Settings, keys: Keys) -> None:
    without = settings.model_copy(update={"mail_host": "", "mail_secret": None})
    async with opened(without, evaluate=False) as services, client_of(services, **MANAGER) as client:
        assert (await client.get("/v1/mail/suppressions")).status_code == 404
        assert (await client.post(link(keys))).status_code == 404


# -- settings ---------------------------------------------------------------------------------------------------------


def test_mail_is_set_up_by_its_settings(settings: Settings) -> None:
    found = mail_settings(settings)
    assert found is not None
    assert (found.server, found.public_url) == ("smtp://mail.shop.example:587", "https://segments.shop.example")
    assert mail_settings(settings.model_copy(update={"mail_host": ""})) is None
    assert SECRET not in repr(found)
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mail_from": "", "mail_secret": None}, "so SEGMENTD_MAIL_FROM, SEGMENTD_MAIL_SECRET must be too"),
        ({"mail_from": "nobody"}, "SEGMENTD_MAIL_FROM: an address is name@domain"),
        ({"mail_secret": SecretStr("short")}, "SEGMENTD_MAIL_SECRET: a secret has at least 32 characters"),
        ({"mail_secret": SecretStr(f"{SECRET},short")}, "SEGMENTD_MAIL_SECRET: a secret has at least 32 characters"),
        ({"mail_public_url": "segments.shop.example"}, "SEGMENTD_MAIL_PUBLIC_URL: an address such as"),
        ({"mail_public_url": "https://a.example/x>y"}, "SEGMENTD_MAIL_PUBLIC_URL: only ASCII"),
        ({"mail_tls": "none", "mail_user": "u", "mail_password": SecretStr("p")}, "SEGMENTD_MAIL_TLS: a password"),
    ],
)
def test_settings_that_cannot_be_are_named(settings: Settings, changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        mail_settings(settings.model_copy(update=changes))


def test_a_list_without_a_secret_is_none(services: Services) -> None:
    assert suppressions_of(services.settings.model_copy(update={"mail_secret": None}), services.store) is None
