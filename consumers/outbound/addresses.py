"""Which IP addresses may be called: those of the public internet, and what the operator allows besides.

By the registries of special-purpose addresses of IANA (RFC 6890 and what came after), listed here rather than asked of
`ipaddress`, whose answers differ between releases of Python.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")
"""A host's name, in lower case."""

_NOT_PUBLIC_V4 = [
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # behind a carrier's NAT; also the metadata service of one cloud
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # public by its number, but on one cloud the host of the machine itself
        "169.254.0.0/16",  # link-local: the metadata services of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
]
_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")  # all else is unassigned, local, multicast, or holds an IPv4 address
_NOT_PUBLIC_V6 = [
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks, AMT
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: holds an IPv4 address
        "3ffe::/16",  # the 6bone, given back
        "3fff::/20",  # documentation
    )
]
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # an IPv4 address in its last 32 bits; 64:ff9b:1::/48 is for local use


def is_public(address: Address) -> bool:
    """Whether anybody on the internet may be meant by it.

    >>> [is_public(ipaddress.ip_address(text)) for text in ("93.184.215.14", "10.0.0.1", "::ffff:93.184.215.14")]
    [True, False, False]
    """
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_V4)
    if address in _NAT64:  # how networks without IPv4 reach it
        return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _PUBLIC_V6 and not any(address in network for network in _NOT_PUBLIC_V6)


class Allowed:
    """What the operator allows besides the public internet: networks (`10.1.0.0/16`) and host names (`crm.internal`).

    A name allows whatever it leads to. Raises ValueError for what is neither, saying which.
    """

    def __init__(self, allow: Iterable[str]) -> None:
        networks: list[Network] = []
        names: set[str] = set()
        for text in filter(None, (each.strip().lower() for each in allow)):
            try:
                networks.append(ipaddress.ip_network(text))
            except ValueError as error:
                if "/" in text or not NAME.fullmatch(text):
                    raise ValueError(f"{text!r} is neither a network (10.1.0.0/16) nor a host name: {error}") from error
                names.add(text)
        self._networks: Sequence[Network] = networks
        self._names = frozenset(names)

    @property
    def any(self) -> bool:
        return bool(self._networks or self._names)

    def names(self, host: str) -> bool:
        return host in self._names

    def holds(self, address: Address) -> bool:
        return any(address.version == network.version and address in network for network in self._networks)
