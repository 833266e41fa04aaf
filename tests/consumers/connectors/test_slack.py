"""Slack: a hook and a bot, against a server in its own process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from consumers.connectors.http import HttpConnector
from consumers.delivery.port import Done, Failed, Refused
from tests.consumers.connectors.playing import keys, packaged, subject
from tests.consumers.connectors.vendors.serving import Remote, vendor
from tests.consumers.connectors.vendors.slack import HOOK, TOKEN

ANA = subject("ana", {"name": "Ana"})
KEYS = keys([ANA])


@pytest.fixture
def slack() -> Iterator[Remote]:
    with vendor("slack") as remote:
        yield remote


def around(slack: Remote, token: str = TOKEN) -> dict[str, str]:
    return {
        "SEGMENTD_SECRET_SLACK_WEBHOOK_URL": slack.base + HOOK,
        "SEGMENTD_SECRET_SLACK_BOT_TOKEN": token,
        "SEGMENTD_CONNECTOR_SLACK_BASE": f"{slack.base}/api",
    }


@pytest.fixture
async def calls(slack: Remote) -> AsyncIterator[HttpConnector]:
    async with packaged("slack", around(slack)) as found:
        found._pace._apart_s = 0.0  # a message a second is Slack's wish, not this server's
        yield found


async def test_the_hook_gets_text_and_blocks(slack: Remote, calls: HttpConnector) -> None:
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "*{{ customer.name }}* came"}}]
    text = "{{ customer.name }} is among {{ segment.name }}"
    assert await calls.call("post", {"text": text}, [ANA], KEYS) == [Done("HTTP 200", 200)]
    assert await calls.call("post", {"text": text, "blocks": blocks}, [ANA], KEYS) == [Done("HTTP 200", 200)]
    plain, rich = slack.state()
    assert plain == {"text": "Ana is among VIPs"}
    assert rich["blocks"][0]["text"]["text"] == "*Ana* came"


async def test_the_hooks_words_are_told_and_its_address_is_not(slack: Remote, calls: HttpConnector) -> None:
    assert await calls.call("post", {"text": ""}, [ANA], KEYS) == [Refused("HTTP 400: no_text", 400)]
    slack.knobs(archived=True)
    assert await calls.call("post", {"text": "x"}, [ANA], KEYS) == [Refused("HTTP 410: channel_is_archived", 410)]
    [shown] = calls.render("post", {"text": "x"}, [ANA], KEYS)
    assert (shown.url, shown.body) == ("***", '{"text":"x"}')


async def test_a_bot_writes_to_a_channel(slack: Remote, calls: HttpConnector) -> None:
    with_ = {"channel": "C1", "text": "Bună, {{ customer.name }}"}
    assert await calls.call("message", with_, [ANA], KEYS) == [Done("HTTP 200", 200)]
    assert slack.state() == [{"channel": "C1", "text": "Bună, Ana"}]


@pytest.mark.parametrize(
    ("channel", "error"), [("C2", "is_archived"), ("C3", "not_in_channel"), ("C9", "channel_not_found")]
)
async def test_a_200_that_says_no_is_no_success(calls: HttpConnector, channel: str, error: str) -> None:
    outcomes = await calls.call("message", {"channel": channel, "text": "x"}, [ANA], KEYS)
    assert outcomes == [Refused(f"HTTP 200: {error}", 200)]


async def test_a_wrong_token_and_a_busy_slack_may_go_better(slack: Remote, calls: HttpConnector) -> None:
    with_ = {"channel": "C1", "text": "x"}
    async with packaged("slack", around(slack, "xoxb-another")) as others:
        assert await others.call("message", with_, [ANA], KEYS) == [Failed("HTTP 200: invalid_auth", 200)]
    slack.script((429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "30"}))
    assert await calls.call("message", with_, [ANA], KEYS) == [Failed("HTTP 429: ratelimited", 429, 30.0)]
    slack.script((200, {"ok": False, "error": "internal_error"}))
    async with packaged("slack", around(slack)) as fresh:
        assert await fresh.call("message", with_, [ANA], KEYS) == [Failed("HTTP 200: internal_error", 200)]
