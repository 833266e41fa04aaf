"""What the link to unsubscribe carries: whose address (as its hash) and which customer, signed; and nothing to look up.

A token is made for each mail and never expires: a mail from years ago must still unsubscribe.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import NamedTuple

from consumers.connectors.mail.addresses import Address

_VERSION = 1
_HASH_BYTES = 16
_SIGNATURE_BYTES = 16
TOKEN_CHARS_MAX = 1024
"""A customer's id has at most 128 characters, so 512 bytes."""


class Claim(NamedTuple):
    """What a token says: unsubscribe the address with this hash (see `Keys.hashes`), which is this customer's."""

    hash: str
    customer_id: str


class Keys:
    """What signs tokens and hashes addresses, from secrets, newest first. The newest is used, all are recognised."""

    def __init__(self, secrets: Sequence[str]) -> None:
        assert secrets, "mail needs a secret"
        self._signing = [_derived(secret, "unsubscribe") for secret in secrets]
        self._hashing = [_derived(secret, "suppression") for secret in secrets]

    def hashes(self, address: Address) -> list[str]:
        """An address as it stands in the list: under every secret, the newest first. Cannot be turned back."""
        canonical = address.canonical.encode()
        return [hmac.digest(key, canonical, "sha256")[:_HASH_BYTES].hex() for key in self._hashing]

    def token(self, address: Address, customer_id: str) -> str:
        """For a URL: letters, digits, `-` and `_`."""
        body = bytes([_VERSION]) + bytes.fromhex(self.hashes(address)[0]) + customer_id.encode()
        return base64.urlsafe_b64encode(_signature(self._signing[0], body) + body).decode().rstrip("=")

    def read(self, token: str) -> Claim | None:
        """What a token says, if one of ours signed it; None for everything else."""
        if len(token) > TOKEN_CHARS_MAX or not token.isascii():
            return None
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        signature, body = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        known = [hmac.compare_digest(_signature(key, body), signature) for key in self._signing]
        if not any(known) or body[:1] != bytes([_VERSION]):
            return None
        return Claim(body[1 : 1 + _HASH_BYTES].hex(), body[1 + _HASH_BYTES :].decode())


def _derived(secret: str, purpose: str) -> bytes:
    """A key for one purpose, so that what is learnt of one says nothing about the other."""
    return hmac.digest(secret.encode(), f"segmentd mail {purpose}".encode(), hashlib.sha256)


def _signature(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, body, "sha256")[:_SIGNATURE_BYTES]
