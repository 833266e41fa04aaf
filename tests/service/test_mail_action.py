"""From an event to a mail, and from the mail's own link to no further one: the whole way, over HTTP and SMTP."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import EmailMessage
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from service.settings import Settings
from tests.consumers.connectors.mail.server import SmtpServer
from tests.service.acting import Shop, acting, until, until_true

SECRET = "a secret of thirty-two characters or more"
SEGMENT = {
    "id": "cart-left",
    "name": "Left the cart",
    "enter": {"event": "cart", "count": {"gte": 1}},
    "actions": [
        {
            "id": "remind",
            "on": {"event": "cart"},
            "use": "mail.send",
            "with": {"subject": "Your cart, {{ customer.name }}", "html": "<p>{{ event.properties.what }}</p>"},
        }
    ],
}


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    server = SmtpServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def settings(settings: Settings, smtp: SmtpServer) -> Settings:
    mail = {
        "mail_host": "127.0.0.1",
        "mail_port": smtp.port,
        "mail_tls": "none",
        "mail_from": "Shop <hello@shop.example>",
        "mail_public_url": "https://segments.shop.example",
        "mail_secret": SecretStr(SECRET),
        "mail_hello": "client.shop.example",
    }
    return settings.model_copy(update=mail)


async def test_an_event_sends_a_mail_and_its_link_ends_that(settings: Settings, smtp: SmtpServer) -> None:
    async with acting(settings) as shop:
        made = await shop.client.put("/v1/segments/cart-left", json=SEGMENT, headers={"Prefer": "wait=30"})
        assert made.status_code == 201, made.text
        await _send(shop, "p1", "profile", set={"name": "Ana <b>", "email": "ana@customer.example"})
        await _send(shop, "c1", "cart", action="add", what="1 < 2 roses")
        await until(lambda: len(smtp.received) == 1)
        message = smtp.received[0].message
        assert message["Subject"] == "Your cart, Ana <b>"
        assert "<p>1 &lt; 2 roses</p>" in _html(message)
        clicked = await shop.client.post(urlsplit(message["List-Unsubscribe"].strip("<>")).path)
        assert clicked.status_code == 200
        await _send(shop, "c2", "cart", action="add", what="tulips")
        feed = "/v1/segments/cart-left/feed"

        async def dropped() -> bool:
            return "unsubscribed on" in str(await shop.get(feed))

        await until_true(dropped)
        assert len(smtp.received) == 1
        profile = await shop.get("/v1/customers/c-7")
        assert profile["attributes"]["email_unsubscribed"] is True
        assert "ana@customer.example" not in str(await shop.get(feed))


async def test_a_mistake_in_a_mail_is_told_when_the_segment_is_saved(settings: Settings) -> None:
    wrong = [{"id": "remind", "on": "entered", "use": "mail.send", "with": {"subject": "{{ custmer.name }}"}}]
    async with acting(settings) as shop:
        answer = await shop.client.put("/v1/segments/cart-left", json=SEGMENT | {"actions": wrong})
        assert answer.status_code == 422
        assert [each["at"] for each in answer.json()["mistakes"]] == ["actions[0].with.subject", "actions[0].with"]


async def _send(shop: Shop, number: str, kind: str, **properties: object) -> None:
    event = {"id": number, "type": kind, "customer_id": "c-7", "properties": properties}
    answer = await shop.client.post("/v1/events", json=event, headers={"Prefer": "wait=30"})
    assert answer.json().get("applied") is True, answer.text


def _html(message: EmailMessage) -> str:
    found = message.get_body(("html",))
    assert found is not None
    return str(found.get_content())
