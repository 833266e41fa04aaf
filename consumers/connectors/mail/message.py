"""A mail as it goes over the wire: one text and one HTML part, and headers that nothing rendered can add to.

Bodies are quoted-printable, so that no line exceeds what RFC 5322 allows (998 bytes), whatever a customer is called.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import NamedTuple

from consumers.connectors.mail.addresses import Address, Mailbox
from consumers.connectors.mail.headers import NAME_CHARS_MAX, mailbox, one_line, phrase, words, written

SUBJECT_CHARS_MAX = 250
_NOT_IN_BODY = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class Letter(NamedTuple):
    """What is to be sent. `key`: of the call, the same for ever. `list_name` and `list_id`: of the segment."""

    sender: Mailbox
    to: Address
    subject: str
    text: str
    html: str
    key: str
    date_ms: int
    unsubscribe_url: str
    list_id: str
    list_name: str = ""
    reply_to: Mailbox | None = None


def headers(letter: Letter) -> list[tuple[str, str]]:
    """Everything but what the parts say of themselves."""
    sent = datetime.fromtimestamp(letter.date_ms / 1000, UTC)
    reply = [("Reply-To", mailbox("Reply-To", letter.reply_to))] if letter.reply_to is not None else []
    return [
        ("From", mailbox("From", letter.sender)),
        ("To", letter.to.text),
        *reply,
        ("Subject", words("Subject", one_line(letter.subject, SUBJECT_CHARS_MAX))),
        ("Date", format_datetime(sent)),
        ("Message-ID", message_id(letter.key, letter.sender.address.domain)),
        ("List-Id", f"{phrase('List-Id', one_line(letter.list_name, NAME_CHARS_MAX))} <{letter.list_id}>".strip()),
        ("List-Unsubscribe", f"<{letter.unsubscribe_url}>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ("Auto-Submitted", "auto-generated"),
    ]


def compose(letter: Letter) -> bytes:
    """The mail. The same letter gives the same bytes."""
    parts = EmailMessage(SMTP)
    parts.set_content(_body(letter.text), cte="quoted-printable")
    if letter.html:
        parts.add_alternative(_body(letter.html), subtype="html", cte="quoted-printable")
        parts.set_boundary("=_" + hashlib.sha256(letter.key.encode("utf-8", "replace")).hexdigest()[:32])
    return written(headers(letter)) + parts.as_bytes()


def message_id(key: str, domain: str) -> str:
    """The same for the same call, so that a mail sent twice is known again; nothing can be read from it.

    >>> message_id("welcome:vip:7:1", "shop.example")
    '<37a04ed3428bceb9b83a0d60ae25dc47@shop.example>'
    """
    return f"<{hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()[:32]}@{domain}>"


def _body(text: str) -> str:
    return _NOT_IN_BODY.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))
