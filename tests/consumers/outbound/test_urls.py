"""Which URLs are called at all: a corpus of hostile ones, each refused, and the usual ones, each taken."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from consumers.outbound import Outbound, OutboundFailed, OutboundRefused
from consumers.outbound.addresses import Allowed, is_public
from consumers.outbound.resolving import Resolve, Resolver
from consumers.outbound.urls import parse

CORPUS = Path(__file__).with_name("hostile_urls.txt")
PUBLIC = "93.184.215.14"


def hostile() -> list[tuple[str, list[str], str]]:
    """Each URL with what its name leads to, and why it is refused."""
    found = []
    for line in CORPUS.read_text("ascii").splitlines():
        if not line.startswith("#"):
            url, end = json.JSONDecoder().raw_decode(line)
            leads_to, _, why = line[end:].partition(" | ")
            addresses = leads_to.removeprefix(" -> ")
            found.append((url, addresses.split(", ") if addresses else [], why))
    return found


def resolver_to(*addresses: str) -> Resolver:
    """One in whose world every name leads to these addresses; to none: nobody knows any."""
    return Resolver(Allowed([]), _answering(addresses))


def _answering(addresses: Sequence[str]) -> Resolve:
    def resolve(name: str) -> Sequence[str]:
        if not addresses:
            raise OSError(f"{name} is not known")
        return addresses

    return resolve


def test_the_corpus_is_large_and_says_why() -> None:
    corpus = hostile()
    assert len(corpus) >= 200
    assert len({(url, tuple(to)) for url, to, _ in corpus}) == len(corpus)
    assert all(why for _, _, why in corpus)


@pytest.mark.parametrize(("url", "to", "why"), hostile())
async def test_a_hostile_url_is_refused(url: str, to: list[str], why: str) -> None:
    resolver = resolver_to(*to)
    with pytest.raises(OutboundRefused) as refused:
        await resolver.addresses(url)
    assert len(str(refused.value)) < 200, "it does not repeat the URL"
    resolver.close()


async def test_the_client_refuses_before_it_connects() -> None:
    outbound = Outbound(resolve=lambda name: ["10.0.0.1"])
    with pytest.raises(OutboundRefused, match="not on the public internet"):
        await outbound.request("POST", "https://hooks.example.com/", headers={}, body=b"{}")
    await outbound.close()


@pytest.mark.parametrize(
    ("url", "authority", "path"),
    [
        ("https://hooks.example.com", "hooks.example.com", "/"),
        ("HTTPS://Hooks.Example.COM/a/b?c=%20d&e", "hooks.example.com", "/a/b?c=%20d&e"),
        ("https://hooks.example.com:443/x", "hooks.example.com", "/x"),
        ("https://hooks.example.com:8443?x", "hooks.example.com:8443", "/?x"),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example", "/"),
        ("https://my_service.example.com/", "my_service.example.com", "/"),
        ("https://93.184.215.14/", "93.184.215.14", "/"),
        ("https://[2606:4700:0::1111]:8443/", "[2606:4700::1111]:8443", "/"),
        ("https://1.example.com/", "1.example.com", "/"),
        ("https://hooks.example.com/a;b=c/@d/!$'()*+,~", "hooks.example.com", "/a;b=c/@d/!$'()*+,~"),
    ],
)
def test_a_usual_url_is_read_as_it_is_meant(url: str, authority: str, path: str) -> None:
    target = parse(url)
    assert (target.authority, target.path) == (authority, path)


@pytest.mark.parametrize(
    ("url", "addresses"),
    [
        ("https://hooks.example.com/", [PUBLIC]),
        ("https://hooks.example.com:8443/", [PUBLIC, "2606:4700::1111"]),
        ("https://hooks.example.com/", ["64:ff9b::5db8:d70e"]),  # a network without IPv4
    ],
)
async def test_a_public_host_may_be_called_at_every_address_it_has(url: str, addresses: list[str]) -> None:
    resolver = resolver_to(*addresses)
    _, found = await resolver.addresses(url)
    assert found == [ipaddress.ip_address(each) for each in addresses]
    resolver.close()


async def test_a_public_name_that_nobody_knows_may_be_known_later() -> None:
    resolver = resolver_to()
    with pytest.raises(OutboundFailed, match="not known"):
        await resolver.addresses("https://hooks.example.com/")
    resolver.close()


@pytest.mark.parametrize(
    ("allow", "url", "to"),
    [
        ("10.1.0.0/16", "http://10.1.2.3:6379/", "10.1.2.3"),
        ("10.1.0.0/16", "http://receiver:8080/", "10.1.2.3"),
        ("crm.internal", "http://CRM.internal/", "10.9.9.9"),
        ("receiver", "https://receiver/", "192.168.0.4"),
        ("fd00::/8", "http://[fd00::1]:8080/", "fd00::1"),
        ("127.0.0.1", "http://127.0.0.1:9000/", "127.0.0.1"),
        ("old.example.com", "http://old.example.com/", PUBLIC),
    ],
)
async def test_what_the_operator_allows_may_be_called_by_any_port_and_without_tls(
    allow: str, url: str, to: str
) -> None:
    resolver = Resolver(Allowed([allow]), _answering([to]))
    _, found = await resolver.addresses(url)
    assert [str(each) for each in found] == [to]
    resolver.close()


@pytest.mark.parametrize(
    ("allow", "url", "to"),
    [
        ("10.1.0.0/16", "https://10.2.0.1/", "10.2.0.1"),
        ("10.1.0.0/16", "https://hooks.example.com/", "10.2.0.1"),
        ("10.1.0.0/16", "http://hooks.example.com/", PUBLIC),
        ("crm.internal", "https://other.internal/", "10.9.9.9"),
        ("internal", "https://crm.internal/", "10.9.9.9"),
        ("127.0.0.0/8", "https://[::ffff:127.0.0.1]/", "::ffff:127.0.0.1"),
    ],
)
async def test_what_is_allowed_allows_nothing_else(allow: str, url: str, to: str) -> None:
    resolver = Resolver(Allowed([allow]), _answering([to]))
    with pytest.raises(OutboundRefused):
        await resolver.addresses(url)
    resolver.close()


@pytest.mark.parametrize("text", ["10.0.0.0/33", "10.0.0.1/8", "https://crm.internal", "*.internal", "a b"])
def test_an_allow_list_that_says_nothing_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="neither a network"):
        Allowed([text])


def test_blanks_and_capitals_in_an_allow_list_do_not_matter() -> None:
    allowed = Allowed([" CRM.Internal ", "", "10.0.0.0/8"])
    assert allowed.names("crm.internal")
    assert allowed.holds(ipaddress.ip_address("10.1.1.1"))


def test_nothing_that_python_holds_for_local_is_public() -> None:
    for network in map(ipaddress.ip_network, _SPECIAL.split()):
        assert not is_public(network[0])
        assert not is_public(network[-1])


_SPECIAL = """
0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.168.0.0/16 198.18.0.0/15
224.0.0.0/4 240.0.0.0/4 ::/128 ::1/128 ::ffff:0:0/96 fc00::/7 fe80::/10 ff00::/8 2001::/23 2002::/16 2001:db8::/32
64:ff9b:1::/48 100::/64 fec0::/10
"""
