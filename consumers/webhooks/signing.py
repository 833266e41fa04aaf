"""Signatures of Standard Webhooks 1.0: `v1` (HMAC-SHA256 by a shared secret) and `v1a` (ed25519 by a key pair).

What is signed is `<webhook-id>.<webhook-timestamp>.<body>`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SECRET_PREFIX, PRIVATE_PREFIX, PUBLIC_PREFIX = "whsec_", "whsk_", "whpk_"
_SECRET_BYTES = 32  # the standard asks for 24 to 64
_ID_CHARS_MAX = 300


def new_secret() -> str:
    """`whsec_...`: what both sides know."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def new_pair() -> tuple[str, str]:
    """`whsk_...`, ours alone, and `whpk_...`, which everybody may know."""
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    return _text(PRIVATE_PREFIX, private.private_bytes_raw()), _text(PUBLIC_PREFIX, public)


def sign(keys: Iterable[str], webhook_id: str, timestamp_s: int, body: bytes) -> str:
    """The `webhook-signature` header: one signature a key (`whsec_` or `whsk_`), with blanks between."""
    content = f"{webhook_id}.{timestamp_s}.".encode() + body
    return " ".join(_signature(key, content) for key in keys)


def _signature(key: str, content: bytes) -> str:
    if key.startswith(SECRET_PREFIX):
        digest = hmac.digest(base64.b64decode(key.removeprefix(SECRET_PREFIX)), content, hashlib.sha256)
        return _text("v1,", digest)
    private = Ed25519PrivateKey.from_private_bytes(base64.b64decode(key.removeprefix(PRIVATE_PREFIX)))
    return _text("v1a,", private.sign(content))


def webhook_id(item_id: str) -> str:
    """The item's id as a header can hold it: percent-encoded, so also without the dot that separates what is signed.

    >>> webhook_id("vip:13748:1"), webhook_id("vip:ana@example.com:1")
    ('vip:13748:1', 'vip:ana%40example%2Ecom:1')
    """
    encoded = quote(item_id, safe=":").replace(".", "%2E")
    if len(encoded) <= _ID_CHARS_MAX:
        return encoded
    digest = hashlib.sha256(item_id.encode()).hexdigest()
    return f"{encoded[: _ID_CHARS_MAX - len(digest) - 1]}~{digest}"


def _text(prefix: str, content: bytes) -> str:
    return prefix + base64.b64encode(content).decode()
