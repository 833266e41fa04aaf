"""What a server says no to, and who therefore gets no mail any more."""

from __future__ import annotations

import asyncio
import socket

import pytest

from consumers.connectors.mail.addresses import parse_address
from consumers.connectors.mail.connector import Mail
from consumers.connectors.mail.suppression import Suppressions
from consumers.connectors.mail.tokens import Keys
from consumers.delivery.port import Done, Dropped, Failed, Refused
from consumers.state.keys import SUPPRESSED
from consumers.state.store import Store
from tests.consumers.connectors.mail.server import SmtpServer
from tests.consumers.connectors.mail.worlds import NOW_MS, SECRET, connector, mail_settings, send, subject

ANA = parse_address("ana@customer.example")
LIST_OF = {"one": (SECRET,), "rotated": ("a newer secret of thirty-two characters", SECRET)}


@pytest.fixture
def suppressions(store: Store) -> Suppressions:
    return Suppressions(store, Keys([SECRET]))


@pytest.mark.parametrize(
    ("stage", "answer", "expected"),
    [
        ("rcpt", "450 4.2.1 <ana@customer.example> busy", Failed("the recipient: 450 4.2.1 *** busy")),
        ("rcpt", "550 5.2.1 ana is disabled", Refused("the recipient: 550 5.2.1 *** is disabled")),
        ("rcpt", "550 go away", Refused("the recipient: 550 go away")),
        ("rcpt", "530 5.7.0 sign in first", Failed("the recipient: 530 5.7.0 sign in first")),
        ("rcpt", "421 4.3.2 closing", Failed("the recipient: 421 4.3.2 closing")),
        ("mail", "451 4.3.0 later", Failed("the sender: 451 4.3.0 later")),
        ("mail", "550 5.7.1 not you", Failed("the sender: 550 5.7.1 not you")),
        ("data", "452 4.3.1 full", Failed("the message: 452 4.3.1 full")),
        ("data", "554 5.7.1 spam", Refused("the message: 554 5.7.1 spam")),
        ("data", "552 5.3.4 too big", Refused("the message: 552 5.3.4 too big")),
    ],
)
async def test_a_servers_no_is_final_or_for_another_time(
    mail: Mail, smtp: SmtpServer, suppressions: Suppressions, stage: str, answer: str, expected: Failed | Refused
) -> None:
    setattr(smtp.answers, stage, answer)
    assert await send(mail, subject()) == expected
    setattr(smtp.answers, stage, "")
    assert await suppressions.count() == 0
    assert isinstance(await send(mail, subject()), Done), "and the next mail goes"
    assert len(smtp.received) == 1


@pytest.mark.parametrize("code", ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"])
async def test_an_address_that_does_not_exist_is_never_written_to_again(
    mail: Mail, smtp: SmtpServer, suppressions: Suppressions, code: str
) -> None:
    smtp.answers.rcpt = f"550 {code} <ana@customer.example>: unknown"
    assert await send(mail, subject()) == Refused(f"the recipient: 550 {code} ***: unknown")
    smtp.answers.rcpt = ""
    assert await send(mail, subject(email="ANA@customer.example")) == Dropped(
        "the address does not exist (since 2026-11-18)"
    )
    assert isinstance(await send(mail, subject(email="bea@customer.example")), Done)
    assert await suppressions.count() == 1


async def test_who_has_unsubscribed_gets_nothing_until_that_is_lifted(
    mail: Mail, smtp: SmtpServer, suppressions: Suppressions
) -> None:
    await suppressions.add(ANA, "unsubscribed", NOW_MS)
    assert await send(mail, subject()) == Dropped("unsubscribed on 2026-11-18")
    assert smtp.received == []
    assert await suppressions.lift(ANA)
    assert not await suppressions.lift(ANA)
    assert isinstance(await send(mail, subject()), Done)


async def test_a_bounce_does_not_hide_that_somebody_unsubscribed(suppressions: Suppressions) -> None:
    await suppressions.add(ANA, "bounced", 1)
    assert (await suppressions.add(ANA, "unsubscribed", 2)).since_ms == 2
    await suppressions.add(ANA, "bounced", 3)
    again = await suppressions.add(ANA, "unsubscribed", 4)
    assert (again.why, again.since_ms) == ("unsubscribed", 2)


async def test_the_list_holds_no_addresses_and_no_customers(store: Store, suppressions: Suppressions) -> None:
    await suppressions.add(ANA, "unsubscribed", NOW_MS)
    kept = b" ".join(await store.call("HGETALL", SUPPRESSED))
    assert b"ana" not in kept
    assert b"customer" not in kept
    unkeyed = Suppressions(store, Keys(["another secret of thirty-two characters"]))
    assert await unkeyed.find(ANA) is None, "without the secret nobody finds whether an address is on it"


async def test_the_list_survives_a_new_secret(store: Store, suppressions: Suppressions) -> None:
    await suppressions.add(ANA, "unsubscribed", NOW_MS)
    rotated = Suppressions(store, Keys(LIST_OF["rotated"]))
    assert await rotated.find(ANA) is not None
    assert await rotated.lift(ANA)
    assert await suppressions.find(ANA) is None


async def test_nothing_is_sent_while_it_cannot_be_known_who_unsubscribed(smtp: SmtpServer) -> None:
    away = Store.connect("redis://127.0.0.1:1/0")
    try:
        async with connector(away, mail_settings(smtp)) as mail:
            outcome = await send(mail, subject())
    finally:
        await away.close()
    assert isinstance(outcome, Failed)
    assert smtp.received == []


async def test_where_there_is_no_server_it_fails_and_may_go_later(store: Store, smtp: SmtpServer) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with connector(store, mail_settings(smtp, port=unused.getsockname()[1])) as mail:
            outcome = await send(mail, subject())
    assert isinstance(outcome, Failed)
    assert outcome.error.startswith("connecting: ")


async def test_a_server_that_says_nothing_is_given_up(store: Store, smtp: SmtpServer) -> None:
    writers: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda reader, writer: writers.append(writer), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    try:
        async with connector(store, mail_settings(smtp, port=port, timeout_s=0.2)) as mail:
            outcome = await send(mail, subject())
    finally:
        silent.close()
        for writer in writers:
            writer.close()
            await writer.wait_closed()
    assert isinstance(outcome, Failed)
    assert outcome.error.startswith("connecting: ")


async def test_mail_that_is_not_set_up_fails_and_says_what_is_missing(store: Store) -> None:
    async with connector(store, None) as mail:
        assert await send(mail, subject()) == Failed("mail is not set up here (SEGMENTD_MAIL_HOST)")
