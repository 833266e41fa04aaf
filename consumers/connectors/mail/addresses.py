"""One e-mail address, taken apart and held to what can stand in an envelope and a header without saying more.

RFC 5321 and 6531 without what nobody has and attackers like: quoted local parts, comments, address literals, lists.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

import idna

from rules.errors import SegmentdError

LOCAL_BYTES_MAX = 64
ADDRESS_BYTES_MAX = 254
_CHARS_MAX = 1000  # of what is looked at: with blanks around it, and a domain beyond ASCII
_ATEXT = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]")
_NO_MAILBOX = "it is `Name <name@domain>`, or the address alone"


class AddressInvalid(SegmentdError):
    """Not one address that can be written to. The message says why, without the address."""


class Address(NamedTuple):
    """`local` as it was written (NFC), `domain` in lower-case ASCII (IDNA 2008)."""

    local: str
    domain: str

    @property
    def text(self) -> str:
        return f"{self.local}@{self.domain}"

    @property
    def needs_utf8(self) -> bool:
        """Whether only a server that speaks SMTPUTF8 can be given it."""
        return not self.local.isascii()

    @property
    def canonical(self) -> str:
        """The same for every way to write it; case of the local part says nothing in practice."""
        return f"{self.local.casefold()}@{self.domain}"


class Mailbox(NamedTuple):
    """An address and the name shown with it ("": none)."""

    name: str
    address: Address


def parse_address(text: object) -> Address:
    """The one address that `text` is, blanks around it aside. Raises AddressInvalid.

    >>> parse_address(" Ana.Pop@EXAMPLE.com ").text
    'Ana.Pop@example.com'
    >>> parse_address("ana@bücher.example").text
    'ana@xn--bcher-kva.example'
    >>> parse_address("a@example.com, b@example.com")
    Traceback (most recent call last):
    consumers.connectors.mail.addresses.AddressInvalid: the part before the @ has characters that it cannot have
    """
    if not isinstance(text, str) or not text.strip():
        raise AddressInvalid("there is no address")
    if len(text) > _CHARS_MAX:
        raise AddressInvalid(f"an address has at most {ADDRESS_BYTES_MAX} bytes")
    local, at, domain = text.strip().rpartition("@")
    if not at or not local or not domain:
        raise AddressInvalid("an address is name@domain")
    address = Address(_local(local), _domain(domain))
    if len(address.text.encode()) > ADDRESS_BYTES_MAX:
        raise AddressInvalid(f"an address has at most {ADDRESS_BYTES_MAX} bytes")
    return address


def parse_mailbox(text: str) -> Mailbox:
    """`Shop <hello@shop.example>` or the address alone. Raises AddressInvalid."""
    whole = text.strip()
    if not whole.endswith(">"):
        if "<" in whole or ">" in whole:
            raise AddressInvalid(_NO_MAILBOX)
        return Mailbox("", parse_address(whole))
    name, opened, within = whole[:-1].rpartition("<")
    name = name.strip()
    if len(name) >= 2 and name.startswith('"') and name.endswith('"'):
        name = name[1:-1].strip()
    if not opened or any(char in '<>"' for char in name) or ">" in within:
        raise AddressInvalid(_NO_MAILBOX)
    return Mailbox(name, parse_address(within))


def _local(text: str) -> str:
    """A dot-atom, with letters of any alphabet (RFC 6531)."""
    local = unicodedata.normalize("NFC", text)
    if not all(_ATEXT.match(char) or char == "." or _is_letter(char) for char in local):
        raise AddressInvalid("the part before the @ has characters that it cannot have")
    if local.startswith(".") or local.endswith(".") or ".." in local:
        raise AddressInvalid("the part before the @ has a dot where none can be")
    if len(local.encode()) > LOCAL_BYTES_MAX:
        raise AddressInvalid(f"the part before the @ has more than {LOCAL_BYTES_MAX} bytes")
    return local


def _is_letter(char: str) -> bool:
    """Beyond ASCII only what people can see: no blanks, nothing that joins or turns the text around."""
    return not char.isascii() and char.isprintable() and not char.isspace()


def _domain(text: str) -> str:
    try:
        domain = idna.encode(text, uts46=True, std3_rules=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        raise AddressInvalid("the domain is not one") from None
    last = domain.rpartition(".")[2]
    if "." not in domain or domain.endswith(".") or last.isdigit():
        raise AddressInvalid("the domain is not one that mail can be sent to")
    return domain
