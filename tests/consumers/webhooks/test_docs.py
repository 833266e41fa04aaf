"""The receiver that docs/webhooks.md shows, run against what is really sent."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from consumers.delivery.schedule import DELAYS_MS
from consumers.webhooks.documents import KINDS, Document, written
from consumers.webhooks.signing import new_secret, sign

PAGE = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text()
BODY = b'{"type":"segment.entered","data":{"segment":"vip","customer_id":"ana","sequence":1}}'


def shown() -> dict[str, Any]:
    """What the page's Python defines."""
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    return names


def test_the_receiver_that_is_shown_takes_what_is_sent_once_and_nothing_else(
    capsys: pytest.CaptureFixture[str],
) -> None:
    receive, secret, now = shown()["receive"], new_secret(), int(time.time())
    headers = {
        "webhook-id": "vip:ana:1",
        "webhook-timestamp": str(now),
        "webhook-signature": sign([new_secret(), secret], "vip:ana:1", now, BODY),
    }
    assert receive(secret, headers, BODY) == 204
    assert receive(secret, headers, BODY) == 204
    assert capsys.readouterr().out == "segment.entered vip ana 1\n"
    assert receive(secret, headers, BODY + b" ") == 401
    assert receive(secret, headers | {"webhook-id": "vip:ana:2"}, BODY) == 401


def test_the_page_tells_every_field_with_its_default_and_every_kind() -> None:
    for name in written(Document("https://x.example.com/")):
        assert f"| `{name}` |" in PAGE, name
    assert all(kind in PAGE for kind in KINDS)


def test_the_page_tells_the_schedule_as_it_is() -> None:
    seconds = [delay // 1000 for delay in DELAYS_MS]
    assert seconds == [0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    assert "5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h" in PAGE
    assert sum(seconds) // 3600 == 75
