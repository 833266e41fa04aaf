"""A mail connector on a real store and a real SMTP server, and customers to write to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from consumers.connectors.mail.connector import Mail
from consumers.connectors.mail.settings import MailSettings
from consumers.connectors.port import Subject, customer_view
from consumers.delivery.port import Item, Outcome
from consumers.state.store import Store
from tests.consumers.connectors.mail.server import SmtpServer

SECRET = "a secret of thirty-two characters or more"
NOW_MS = 1_795_000_000_000
WITH = {"subject": "Hello {{ customer.name }}", "html": "<p>Dear {{ customer.name }}</p>"}


class FixedClock:
    """Stands still."""

    def now_ms(self) -> int:
        return NOW_MS

    def monotonic(self) -> float:
        return 1_000.0


def mail_settings(server: SmtpServer, **changes: Any) -> MailSettings:
    usual: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": server.port,
        "tls": "none",
        "sender": "The Shop <hello@shop.example>",
        "public_url": "https://segments.shop.example",
        "secrets": (SECRET,),
        "timeout_s": 30.0,
        "hello": "client.shop.example",
    }
    return MailSettings(**(usual | changes))


def subject(name: str = "Ana", email: object = "ana@customer.example", **attributes: Any) -> Subject:
    said = {"name": name} | ({"email": email} if email is not None else {}) | attributes
    item = Item("vip:c-7:1", "entered", 0, "c-7", "vip")
    segment = {"id": "vip", "name": "Very important people", "about": "", "timezone": "UTC"}
    return Subject(customer_view("c-7", said, ["vip"]), item, segment)


@asynccontextmanager
async def connector(store: Store, settings: MailSettings | None) -> AsyncIterator[Mail]:
    found = Mail(settings, store, FixedClock())
    try:
        yield found
    finally:
        await found.close()


async def send(mail: Mail, to: Subject, with_: Mapping[str, Any] = WITH, key: str = "hello:vip:c-7:1") -> Outcome:
    (outcome,) = await mail.call("send", with_, [to], [key])
    return outcome
