"""What a URL says, read strictly: one reading of it only, so that what is checked is what is called.

Refused rather than mended: whatever browsers, libraries and servers read in different ways (numbers as hosts in other
forms than a.b.c.d, user names, backslashes, percent signs or letters beyond ASCII in a host, a dot at its end, zones).
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

from consumers.outbound.addresses import NAME, Address
from consumers.outbound.errors import OutboundRefused

URL_LENGTH_MAX = 2048
_UNFIT = re.compile(r"[^!-~]|[\"<>\\^`{|}]")
_URL = re.compile(r"(https?)://([^/?#]*)([^#]*)", re.IGNORECASE)
_TARGET = re.compile(r"(?:[^%]|%[0-9A-Fa-f]{2})*")
_LIKE_A_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)
_LOCAL_NAMES = (
    *("alt", "arpa", "corp", "example", "home", "internal", "intranet", "invalid", "lan", "local", "localdomain"),
    *("localhost", "mail", "onion", "private", "test"),
)  # RFC 6761, RFC 6762 appendix G and what ICANN keeps apart: names that nobody on the internet can have
_USUAL_PORTS = {80, 443}
_PRIVILEGED_BELOW = 1024
_OTHER_SERVICES = {
    *(1433, 1434, 1521, 1719, 1720, 1723, 2049, 2181, 2375, 2376, 2379, 2380, 3306, 3389, 3659, 4045, 4190, 4444),
    *(5060, 5061, 5432, 5672, 5900, 5901, 5984, 5985, 5986, 6000, 6379, 6443, 6566, 6665, 6666, 6667, 6668, 6669),
    *(6679, 6697, 7000, 7001, 8086, 9042, 9092, 9200, 9300, 10080, 10250, 11211, 15672, 16379, 26379, 27017, 27018),
}


class Target(NamedTuple):
    """Where a URL leads. `host`: lower case, IPv6 without brackets; `address`: it, where the host is one; `path`: with
    the query. `local_name`: no one on the internet has that name, so it may lead only to what is allowed."""

    scheme: str
    host: str
    port: int
    path: str
    address: Address | None
    local_name: bool

    @property
    def authority(self) -> str:
        """The `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _default_port(self.scheme) else f"{host}:{self.port}"

    @property
    def usual_port(self) -> bool:
        """Whether HTTP is what may be expected there."""
        return self.port in _USUAL_PORTS or (self.port >= _PRIVILEGED_BELOW and self.port not in _OTHER_SERVICES)


def parse(url: str) -> Target:
    """Reads a URL; looks nothing up. Raises OutboundRefused that says what is wrong, without repeating the URL."""
    if len(url) > URL_LENGTH_MAX:
        raise OutboundRefused(f"a URL has at most {URL_LENGTH_MAX} characters")
    if unfit := _UNFIT.search(url):
        raise OutboundRefused(f"a URL has no {_character(unfit.group())} (write it as %XX, a host in its xn-- form)")
    parts = _URL.fullmatch(url)
    if parts is None:
        raise OutboundRefused("a URL begins with https:// and has no #fragment")
    scheme, authority, path = parts.group(1).lower(), parts.group(2), parts.group(3)
    if "@" in authority:
        raise OutboundRefused("a URL has no user name or password")
    if not _TARGET.fullmatch(path):
        raise OutboundRefused("a percent sign is followed by two hexadecimal digits")
    host, port = _split(authority)
    address = _address(host)
    if address is None:
        host = _name(host)
    local_name = address is None and ("." not in host or host.rsplit(".", 1)[1] in _LOCAL_NAMES)
    path = path if path.startswith("/") else f"/{path}"
    text = str(address) if address is not None else host
    return Target(scheme, text, _port(port, scheme), path, address, local_name)


def _split(authority: str) -> tuple[str, str | None]:
    """Host (IPv6 in its brackets) and port."""
    found = re.fullmatch(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::(.*))?", authority)
    if found is None:
        raise OutboundRefused("a URL's host is a name, a.b.c.d, or an IPv6 address in [brackets]")
    return found.group(1), found.group(2)


def _port(text: str | None, scheme: str) -> int:
    if text is None:
        return _default_port(scheme)
    if not re.fullmatch(r"[1-9][0-9]{0,4}", text) or int(text) > 65_535:
        raise OutboundRefused("a port is a number from 1 to 65535")
    return int(text)


def _default_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def _address(host: str) -> Address | None:
    """The address that the host is; None where it is a name. Raises OutboundRefused for one in no form of ours."""
    if host.startswith("["):
        if "%" in host:
            raise OutboundRefused("an IPv6 address has no zone")
        try:
            return ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            raise OutboundRefused("what is in [brackets] is no IPv6 address") from None
    if not _LIKE_A_NUMBER.fullmatch(host.removesuffix(".").rsplit(".", 1)[-1]):
        return None
    try:
        return ipaddress.IPv4Address(host)  # refuses leading zeros, which some read as octal
    except ValueError:
        raise OutboundRefused("an IPv4 address is written as four decimal numbers: a.b.c.d") from None


def _name(host: str) -> str:
    name = host.lower()
    if not host:
        raise OutboundRefused("the URL has no host")
    if not NAME.fullmatch(name):
        raise OutboundRefused("a host name has letters, digits and dashes, between dots, and no dot at its end")
    return name


def _character(text: str) -> str:
    return f"{text!r}" if "!" <= text <= "~" else "blank" if text == " " else f"character U+{ord(text):04X}"
