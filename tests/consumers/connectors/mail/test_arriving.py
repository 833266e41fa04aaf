"""What arrives: the mail as a person's program reads it, whatever the customer is called."""

from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path

import pytest

from consumers.connectors.mail.connector import Mail
from consumers.delivery.port import Done, Dropped, Refused
from consumers.state.store import Store
from tests.consumers.connectors.mail.server import SmtpServer
from tests.consumers.connectors.mail.worlds import WITH, connector, mail_settings, send, subject

HEADERS = [
    "From", "To", "Subject", "Date", "Message-ID", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post",
    "Auto-Submitted", "MIME-Version", "Content-Type",
]  # fmt: skip
HOSTILE = {
    "a line's end and a header": "Ana\r\nBcc: everybody@customer.example\r\n\r\nand a body",
    "other line ends": "Ana\u2028Bcc: a@b.example\u0085X: y\x0bz\x0c\nw",
    "HTML": "<script>alert(1)</script><img src=x onerror=alert(1)> & \"quotes\" 'too'",
    "encoded words that hide a header": "=?utf-8?q?=0D=0ABcc:_everybody@customer.example?=",
    "Unicode": "Ștefania Ünïcødé 客户 🎉 \u202egnirts",
    "10 KB": "Anna-Maria " * 1000,
    "10 KB without a blank": "x" * 10_000,
    "10 KB beyond ASCII": "客户" * 2_000,
    "controls": "A\x00n\x07a\x1b[31m",
    "a lone dot and From": ".\r\nFrom here on",
    "a template": "{{ segment.id }}{% include 'secret' %}",
    "a boundary": "--=_abc\r\nContent-Type: text/html\r\n\r\n<b>mine</b>",
}


def part(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    assert found is not None
    content = found.get_content()
    assert isinstance(content, str)
    return content.replace("\r\n", "\n")


async def test_a_mail_arrives_as_text_and_html_with_all_that_a_mail_to_many_must_say(
    mail: Mail, smtp: SmtpServer
) -> None:
    assert isinstance(await send(mail, subject("Ana")), Done)
    (received,) = smtp.received
    message = received.message
    assert (received.sender, received.recipients) == ("hello@shop.example", ["ana@customer.example"])
    assert list(message.keys()) == HEADERS
    assert message["From"] == "The Shop <hello@shop.example>"
    assert message["To"] == "ana@customer.example"
    assert message["Subject"] == "Hello Ana"
    assert message["Date"].datetime.isoformat() == "2026-11-18T11:06:40+00:00"
    assert message["List-Id"] == "Very important people <vip.shop.example>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["List-Unsubscribe"].startswith("<https://segments.shop.example/v1/mail/unsubscribe/")
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "multipart/alternative"
    assert [each.get_content_type() for each in message.iter_parts()] == ["text/plain", "text/html"]
    assert part(message, "html") == "<p>Dear Ana</p>\n"
    assert part(message, "plain") == "Dear Ana\n"


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
async def test_what_a_customer_is_called_adds_no_header_no_recipient_and_no_markup(
    mail: Mail, smtp: SmtpServer, name: str
) -> None:
    said = WITH | {"text": "Dear {{ customer.name }}", "from": "{{ customer.name }} <hello@shop.example>"}
    if any(char in name for char in '<>"'):
        del said["from"]  # what is no name in front of an address is refused: below
    assert isinstance(await send(mail, subject(name), said), Done)
    (received,) = smtp.received
    message = received.message
    assert received.recipients == ["ana@customer.example"]
    assert list(message.keys()) == HEADERS
    assert message.defects == []
    assert len(message["From"].addresses) == 1
    assert message["From"].addresses[0].addr_spec == "hello@shop.example"
    assert not set("\r\n\0\u2028\u0085\u202e") & set(message["Subject"])
    assert message["Subject"].startswith("Hello ")
    assert len(message["Subject"]) <= 250
    assert max(map(len, received.content.split(b"\r\n"))) <= 998
    assert b"\n" not in received.content.replace(b"\r\n", b"")
    html = part(message, "html")
    assert "<script" not in html
    assert "<img" not in html
    assert html.count("<") == 2
    assert [each.get_content_type() for each in message.iter_parts()] == ["text/plain", "text/html"]
    if not any(char in name for char in "\0\x0b\x0c\x1b\x07"):  # a body has everything but controls
        assert "".join(name.split()) in "".join(part(message, "plain").split())


async def test_a_name_that_would_make_another_address_of_the_sender_is_refused(mail: Mail, smtp: SmtpServer) -> None:
    said = WITH | {"from": "{{ customer.name }} <hello@shop.example>"}
    outcome = await send(mail, subject("Bank <boss@bank.example>"), said)
    assert outcome == Refused("from: it is `Name <name@domain>`, or the address alone")
    assert smtp.received == []


@pytest.mark.parametrize(
    "address",
    [
        "ana@customer.example, all@customer.example",
        "ana@customer.example\r\nRCPT TO:<all@customer.example>",
        "ana@customer.example> SIZE=1",
        "<ana@customer.example>",
        "Ana <ana@customer.example>",
        "ana pop@customer.example",
        '"ana pop"@customer.example',
        "ana@[127.0.0.1]",
        "ana@127.0.0.1",
        "ana@localhost",
        "ana@customer_.example",
        "@customer.example",
        "ana@",
        "ana..pop@customer.example",
        "ana@" + "x" * 64 + ".example",
        "a" * 65 + "@customer.example",
        "ana\u200b@customer.example",
        "ana\u202e@customer.example",
        12,
        ["ana@customer.example"],
    ],
)
async def test_what_is_not_one_address_is_refused_and_not_repeated(
    mail: Mail, smtp: SmtpServer, address: object
) -> None:
    outcome = await send(mail, subject(email=address))
    assert isinstance(outcome, Refused)
    assert outcome.error.startswith("to: ")
    assert str(address) not in outcome.error
    assert smtp.received == []


@pytest.mark.parametrize("address", [None, "", "  "])
async def test_a_customer_without_an_address_gets_none(mail: Mail, smtp: SmtpServer, address: str | None) -> None:
    assert await send(mail, subject(email=address)) == Dropped("the customer has no e-mail address")
    assert smtp.received == []


async def test_domains_beyond_ascii_are_written_in_ascii(mail: Mail, smtp: SmtpServer) -> None:
    assert isinstance(await send(mail, subject(email=" Ana@Bücher.EXAMPLE ")), Done)
    assert smtp.received[0].recipients == ["Ana@xn--bcher-kva.example"]
    assert smtp.received[0].message["To"] == "Ana@xn--bcher-kva.example"


async def test_a_name_beyond_ascii_goes_to_a_server_that_takes_it(mail: Mail, smtp: SmtpServer) -> None:
    assert isinstance(await send(mail, subject(email="ștefan@customer.example")), Done)
    (received,) = smtp.received
    assert received.recipients == ["ștefan@customer.example"]
    assert "To: ștefan@customer.example\r\n".encode() in received.content


async def test_a_name_beyond_ascii_is_refused_where_the_server_does_not_take_it(store: Store) -> None:
    server = SmtpServer(utf8=False)
    server.start()
    try:
        async with connector(store, mail_settings(server)) as mail:
            outcome = await send(mail, subject(email="ștefan@customer.example"))
    finally:
        server.stop()
    assert outcome == Refused("the recipient: 553 5.6.7 the mail server does not take addresses beyond ASCII")
    assert server.received == []


async def test_the_same_call_sends_the_same_mail_again_and_another_call_another(mail: Mail, smtp: SmtpServer) -> None:
    for key in ("a:vip:c-7:1", "a:vip:c-7:1", "a:vip:c-7:2"):
        await send(mail, subject(), key=key)
    first, again, _ = (each.content for each in smtp.received)
    assert first == again
    ids = [each.message["Message-ID"] for each in smtp.received]
    assert ids[0] == ids[1] != ids[2]
    assert "c-7" not in ids[0]


async def test_a_template_is_its_files_and_a_changed_one_is_read_again(
    store: Store, smtp: SmtpServer, tmp_path: Path
) -> None:
    (tmp_path / "welcome.yaml").write_text("{subject: 'Hi {{ customer.name }}', from: Ana <ana@shop.example>}")
    (tmp_path / "welcome.html.liquid").write_text("<p>{{ customer.name }} <a href='{{ unsubscribe_url }}'>no</a></p>")
    (tmp_path / "welcome.txt.liquid").write_text("Dear {{ customer.name }}, {{ segment.name }}")
    async with connector(store, mail_settings(smtp, templates_dir=tmp_path, reply_to="help@shop.example")) as mail:
        assert mail.check("send", {"template": "welcome"}, "actions[0]") == []
        await send(mail, subject("A&B"), {"template": "welcome"})
        (tmp_path / "welcome.txt.liquid").write_text("Changed")
        await send(mail, subject("A&B"), {"template": "welcome", "subject": "Mine"})
    first, second = (each.message for each in smtp.received)
    assert (first["Subject"], second["Subject"]) == ("Hi A&B", "Mine")
    assert first["From"] == "Ana <ana@shop.example>"
    assert first["Reply-To"] == "help@shop.example"
    assert smtp.received[0].sender == "ana@shop.example"
    assert part(first, "plain") == "Dear A&B, Very important people\n"
    assert part(second, "plain") == "Changed\n"
    link = first["List-Unsubscribe"].strip("<>")
    assert part(first, "html") == f"<p>A&amp;B <a href='{link}'>no</a></p>\n"


async def test_what_is_undefined_is_said_and_nothing_is_sent(mail: Mail, smtp: SmtpServer) -> None:
    outcome = await send(mail, subject(), {"subject": "Hello {{ customer.nickname }}", "text": "Hello"})
    assert outcome == Refused("`customer.nickname` is undefined")
    assert smtp.received == []


async def test_bounces_go_where_the_settings_say(store: Store, smtp: SmtpServer) -> None:
    async with connector(store, mail_settings(smtp, return_path="bounces@shop.example")) as mail:
        await send(mail, subject())
    assert smtp.received[0].sender == "bounces@shop.example"
    assert smtp.received[0].message["From"] == "The Shop <hello@shop.example>"
