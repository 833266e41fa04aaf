"""Signatures, verified by the standard's own library, and secrets as they lie in the store."""

from __future__ import annotations

import base64
import time

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from consumers.webhooks.sealing import Seal, SealBroken
from consumers.webhooks.signing import new_pair, new_secret, sign, webhook_id

BODY = b'{"type":"segment.entered","data":{"customer_id":"\xc3\xa9"}}'
A, B = "a" * 32, "b" * 40


def headers(signature: str, timestamp: int, name: str = "vip:13748:1") -> dict[str, str]:
    return {"webhook-id": name, "webhook-timestamp": str(timestamp), "webhook-signature": signature}


def test_the_standards_library_verifies_a_shared_secret() -> None:
    secret, now = new_secret(), int(time.time())
    signed = headers(sign([secret], "vip:13748:1", now, BODY), now)
    assert Webhook(secret).verify(BODY, signed)["type"] == "segment.entered"
    for other in (
        headers(signed["webhook-signature"], now, "vip:13748:2"),
        headers(signed["webhook-signature"], now - 1),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(BODY, other)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(BODY, signed)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY + b" ", signed)


def test_while_secrets_overlap_both_verify() -> None:
    old, new, now = new_secret(), new_secret(), int(time.time())
    signed = headers(sign([new, old], "vip:13748:1", now, BODY), now)
    for secret in (old, new):
        Webhook(secret).verify(BODY, signed)


def test_a_key_pair_signs_so_that_the_public_key_verifies() -> None:
    private, public = new_pair()
    assert (private[:5], public[:5]) == ("whsk_", "whpk_")
    secret = new_secret()
    signature = sign([secret, private], "vip:13748:1", 1_700_000_000, BODY)
    [_, asymmetric] = signature.split(" ")
    version, _, text = asymmetric.partition(",")
    assert version == "v1a"
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public.removeprefix("whpk_")))
    key.verify(base64.b64decode(text), b"vip:13748:1.1700000000." + BODY)
    with pytest.raises(InvalidSignature):
        key.verify(base64.b64decode(text), b"vip:13748:1.1700000001." + BODY)
    now = int(time.time())
    Webhook(secret).verify(BODY, headers(sign([private, secret], "vip:13748:1", now, BODY), now))


def test_a_secret_is_as_long_as_the_standard_asks_for() -> None:
    secret = new_secret()
    assert secret.startswith("whsec_")
    assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"))) <= 64
    assert new_secret() != secret


def test_an_id_is_a_header_whatever_the_customers_id_is() -> None:
    assert webhook_id("vip:13748:1") == "vip:13748:1"
    for item in ("vip:a b\r\nx: y:1", "vip:\x00é中:1", "vip:" + "中" * 128 + ":1"):
        encoded = webhook_id(item)
        assert encoded.isascii()
        assert encoded.isprintable()
        assert " " not in encoded
        assert "." not in encoded
        assert len(encoded) <= 300
    assert webhook_id("vip:" + "中" * 128 + ":1") != webhook_id("vip:" + "中" * 128 + ":2")


def test_a_sealed_secret_is_not_readable_and_opens_again() -> None:
    secret = new_secret()
    stored = Seal([A]).close(secret)
    assert secret.removeprefix("whsec_") not in stored
    assert Seal([A]).open(stored) == secret
    assert Seal([B, A]).open(stored) == secret, "the key can be replaced: a new one before the old"
    for other in (Seal([B]), Seal()):
        with pytest.raises(SealBroken):
            other.open(stored)


def test_without_a_key_secrets_lie_there_as_they_are_and_stay_readable_when_one_comes() -> None:
    stored = Seal().close("whsec_abc")
    assert Seal([A]).open(stored) == "whsec_abc"
    with pytest.raises(ValueError, match="at least 32"):
        Seal(["short"])
