"""A URL that is accepted is read the same by everybody: what is checked is what others would call."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

import httpx2
from hypothesis import example, given
from hypothesis import strategies as st

from consumers.outbound import OutboundRefused
from consumers.outbound.urls import parse

_HOSTS = ["[::1]", "[::ffff:127.0.0.1]", "127.0.0.1", "0x7f.1", "127.1", "2130706433", "0177.0.0.1", "example.com"]
_MARKS = [
    "https://",
    "http://",
    "HTTPS://",
    "//",
    "%2e",
    "%40",
    "%2f",
    "..",
    "443",
    "80",
    "8443",
    "é",
    "。",
    "\n",
    "\0",
]
_PIECES = st.one_of(
    st.sampled_from(_HOSTS), st.sampled_from(_MARKS), st.characters(min_codepoint=0x20, max_codepoint=0x7E)
)
_TEXTS = st.one_of(
    st.lists(_PIECES, max_size=8).map("".join),
    st.lists(_PIECES, max_size=6).map(lambda pieces: "https://" + "".join(pieces)),
    st.lists(_PIECES, max_size=6).map(lambda pieces: "https://example.com" + "".join(pieces)),
    st.lists(_PIECES, max_size=6).map(lambda pieces: "https://[2606:4700::1]/" + "".join(pieces)),
    st.text(max_size=30).map(lambda text: "https://" + text),
)


@given(_TEXTS)
@example("https://example.com:443?x")
@example("https://[::1]:8443/a@b")
@example("https://example.com/a:b@127.0.0.1/")
def test_what_is_accepted_has_one_reading(url: str) -> None:
    try:
        target = parse(url)
    except OutboundRefused:
        return
    for host, port in (_by_python(url), _by_httpx(url)):
        assert _plain(host) == target.host
        assert (port or (443 if target.scheme == "https" else 80)) == target.port
    assert target.path.startswith("/")
    assert target.path.isascii()
    assert target.path.isprintable()
    assert " " not in target.path


def _by_python(url: str) -> tuple[str, int | None]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    return parts.hostname, parts.port


def _by_httpx(url: str) -> tuple[str, int | None]:
    read = httpx2.URL(url)
    return read.raw_host.decode(), read.port


def _plain(host: str) -> str:
    return str(ipaddress.IPv6Address(host)) if ":" in host else host
