"""Whatever is sent, the answer is an answer: broken bodies never become a 500."""

from __future__ import annotations

import random

import httpx2
import orjson
import pytest

from service import examples
from tests.service.sending import BUYERS, put

CALLS = [
    ("POST", "/v1/events", orjson.dumps([examples.EVENT, {"type": "profile", "id": "1", "customer_id": "a"}])),
    ("POST", "/v1/segments/validate", examples.DOCUMENT_YAML.encode()),
    ("PUT", "/v1/segments/big-spenders", orjson.dumps(examples.DOCUMENT)),
    ("POST", "/v1/membership/check", b'{"customers": ["a", "b"], "segments": ["buyers"]}'),
    ("PUT", "/v1/segments/buyers/members/ana", b'{"until": "2099-01-01T00:00:00Z"}'),
]
PIECES = [
    b"",
    b"\xff",
    b"{",
    b"]",
    b'"',
    b"\\ud800",
    b"NaN",
    b"1e999",
    b"9" * 50,
    b": &a *a",
    b"\x00",
    b"- ",
    b"null",
    b"\n",
]


def broken(content: bytes, dice: random.Random) -> bytes:
    """The content with some of it replaced, repeated or left out."""
    for _ in range(dice.randint(1, 4)):
        start = dice.randrange(len(content) + 1)
        end = min(len(content), start + dice.choice((0, 1, 1, 5, 30)))
        content = content[:start] + dice.choice([*PIECES, content[start:end] * 2]) + content[end:]
    return content


@pytest.mark.parametrize(("method", "path", "content"), CALLS)
async def test_a_broken_body_is_the_senders_mistake(
    client: httpx2.AsyncClient, method: str, path: str, content: bytes
) -> None:
    await put(client, BUYERS)
    dice = random.Random(f"{method} {path}")
    for number in range(150):
        body = broken(content, dice)
        media = dice.choice(("application/json", "application/yaml", "application/x-ndjson", "nonsense", ""))
        answer = await client.request(method, path, content=body, headers={"Content-Type": media} if media else {})
        assert answer.status_code < 500, (number, media, body, answer.text)
        assert answer.headers["content-type"] in ("application/json", "application/problem+json")
