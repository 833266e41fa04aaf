"""How the server is spoken with: encrypted where that is asked, signed in, and over few connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from consumers.connectors.mail.connector import Mail, check_settings
from consumers.delivery.port import Done, Failed
from consumers.state.store import Store
from tests.consumers.connectors.mail.server import PASSWORD, USER, SmtpServer
from tests.consumers.connectors.mail.worlds import connector, mail_settings, send, subject

Serving = Callable[..., SmtpServer]
SIGNED_IN = {"user": USER, "password": PASSWORD}


@pytest.fixture
def serving() -> Iterator[Serving]:
    servers: list[SmtpServer] = []

    def start(**options: Any) -> SmtpServer:
        servers.append(SmtpServer(**options))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_mail_goes_encrypted_and_signed_in(store: Store, serving: Serving, certificate: Path, tls: str) -> None:
    server = serving(certificate=certificate, implicit=tls == "tls", auth=True)
    async with connector(store, mail_settings(server, tls=tls, cafile=certificate, **SIGNED_IN)) as mail:
        assert isinstance(await send(mail, subject()), Done)
    (received,) = server.received
    assert (received.tls, received.user) == (True, USER)


async def test_a_wrong_password_fails_without_being_told(store: Store, serving: Serving, certificate: Path) -> None:
    server = serving(certificate=certificate, auth=True)
    wrong = {"user": USER, "password": "wrong-and-secret"}
    async with connector(store, mail_settings(server, tls="starttls", cafile=certificate, **wrong)) as mail:
        outcome = await send(mail, subject())
    assert isinstance(outcome, Failed)
    assert outcome.error.startswith("signing in: 535")
    assert "secret" not in outcome.error
    assert server.received == []


async def test_a_server_without_starttls_is_told_nothing(store: Store, serving: Serving, certificate: Path) -> None:
    server = serving()
    async with connector(store, mail_settings(server, tls="starttls", cafile=certificate, **SIGNED_IN)) as mail:
        outcome = await send(mail, subject())
    assert isinstance(outcome, Failed)
    assert "STARTTLS" in outcome.error
    assert server.received == []


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_a_certificate_that_nobody_vouches_for_is_refused(
    store: Store, serving: Serving, certificate: Path, tls: str
) -> None:
    server = serving(certificate=certificate, implicit=tls == "tls")
    async with connector(store, mail_settings(server, tls=tls)) as mail:
        outcome = await send(mail, subject())
    assert isinstance(outcome, Failed)
    assert server.received == []


async def test_many_mails_go_over_as_many_connections_as_are_allowed(store: Store, smtp: SmtpServer) -> None:
    async with connector(store, mail_settings(smtp, connections=3, messages_per_connection=1000)) as mail:
        outcomes = await asyncio.gather(*(_nth(mail, n) for n in range(60)))
    assert all(isinstance(each, Done) for each in outcomes)
    assert len(smtp.received) == 60
    assert smtp.connections <= 3
    assert sorted(each.recipients[0] for each in smtp.received) == sorted(f"c{n}@customer.example" for n in range(60))


async def test_a_connection_carries_so_many_mails_and_no_more(store: Store, smtp: SmtpServer) -> None:
    async with connector(store, mail_settings(smtp, connections=1, messages_per_connection=2)) as mail:
        for n in range(5):
            assert isinstance(await _nth(mail, n), Done)
    assert smtp.connections == 3


async def test_a_connection_that_the_server_has_closed_is_replaced_and_no_mail_goes_twice(
    store: Store, smtp: SmtpServer
) -> None:
    smtp.answers.hang_up_after = 1
    async with connector(store, mail_settings(smtp, connections=1)) as mail:
        for n in range(3):
            assert isinstance(await _nth(mail, n), Done)
    assert len(smtp.received) == 3
    assert smtp.connections == 3


async def test_after_a_refusal_the_connection_goes_on_with_the_next_mail(store: Store, smtp: SmtpServer) -> None:
    async with connector(store, mail_settings(smtp, connections=1)) as mail:
        smtp.answers.rcpt = "550 5.2.1 no"
        await _nth(mail, 0)
        smtp.answers.rcpt = ""
        assert isinstance(await _nth(mail, 1), Done)
    assert smtp.connections == 1
    assert smtp.received[0].recipients == ["c1@customer.example"]


async def test_a_cancelled_mail_leaves_nothing_for_the_next_one_to_trip_over(store: Store, smtp: SmtpServer) -> None:
    async with connector(store, mail_settings(smtp, connections=1)) as mail:
        for n in range(20):
            cancelled = asyncio.ensure_future(_nth(mail, n))
            for _ in range(n):
                await asyncio.sleep(0)
            cancelled.cancel()
            await asyncio.wait([cancelled])
        assert isinstance(await _nth(mail, 99), Done)
    assert smtp.received[-1].recipients == ["c99@customer.example"]


def test_settings_that_cannot_be_are_named() -> None:
    server = SmtpServer(port=25)
    server._loop.close()
    assert check_settings(mail_settings(server)) == []
    assert check_settings(mail_settings(server, sender="nobody", password="x", user="y")) == [
        "SEGMENTD_MAIL_FROM: an address is name@domain",
        "SEGMENTD_MAIL_TLS: a password goes over TLS only; take `starttls` or `tls`",
    ]
    assert "correct" not in repr(mail_settings(server, password="correct"))


async def _nth(mail: Mail, n: int) -> object:
    return await send(mail, subject(email=f"c{n}@customer.example"), key=f"hello:vip:c{n}:1")
