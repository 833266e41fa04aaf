"""Slack: incoming webhooks and chat.postMessage, as https://docs.slack.dev describes them.

Incoming webhooks answer `ok` as text, or a status with a word: 400 invalid_payload and no_text, 404 no_service, 410
channel_is_archived. The method answers 200 with `ok`, also where it failed, and 429 with Retry-After.
"""

from __future__ import annotations

from typing import Any

from tests.consumers.connectors.vendors.serving import Asked, Told, Vendor

TOKEN = "xoxb-slack-bot-token"
HOOK = "/services/T000/B000/secretpartofthehook"
CHANNELS = {"C1": "in", "C2": "archived", "C3": "not in"}
_HOOK_FIELDS = {"text", "blocks", "attachments", "thread_ts", "response_type", "mrkdwn", "unfurl_links", "unfurl_media"}
_METHOD_FIELDS = {"channel", "text", "blocks", "attachments", "thread_ts", "mrkdwn", "unfurl_links", "unfurl_media"}


class Slack(Vendor):
    """One workspace: a hook, and three channels."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[Any] = []

    def state(self) -> Any:
        return self.messages

    def answer(self, asked: Asked) -> Told:
        if asked.method != "POST":
            return Told(405, "method_not_allowed", kind="text/plain")
        if asked.path.startswith("/services/"):
            return self._hook(asked)
        if asked.path == "/api/chat.postMessage":
            return self._method(asked)
        return Told(404, "not found", kind="text/html")

    def _hook(self, asked: Asked) -> Told:
        if asked.path != HOOK:
            return Told(404, "no_service", kind="text/html")
        if self.knobs.get("archived"):
            return Told(410, "channel_is_archived", kind="text/html")
        body = asked.json()
        if not isinstance(body, dict) or not asked.headers.get("content-type", "").startswith("application/json"):
            return Told(400, "invalid_payload", kind="text/html")
        if set(body) - _HOOK_FIELDS:
            return Told(400, "invalid_payload", kind="text/html")
        if not body.get("text") and not body.get("blocks"):
            return Told(400, "no_text", kind="text/html")
        if not blocks_are_good(body.get("blocks", [])):
            return Told(400, "invalid_blocks", kind="text/html")
        self.messages.append(body)
        return Told(200, "ok", kind="text/html")

    def _method(self, asked: Asked) -> Told:
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return no("invalid_auth" if "authorization" in asked.headers else "not_authed")
        body = asked.json()
        if asked.headers.get("content-type") != "application/json; charset=utf-8":
            return no("missing_charset")
        if not isinstance(body, dict) or set(body) - _METHOD_FIELDS:
            return no("invalid_arguments")
        state = CHANNELS.get(body.get("channel", ""))
        if state is None:
            return no("channel_not_found")
        if state != "in":
            return no("is_archived" if state == "archived" else "not_in_channel")
        if not body.get("text") and not body.get("blocks"):
            return no("no_text")
        if len(body.get("text", "")) > 40_000:
            return no("msg_too_long")
        if not blocks_are_good(body.get("blocks", [])):
            return no("invalid_blocks")
        self.messages.append(body)
        return Told(200, {"ok": True, "channel": body["channel"], "ts": f"17000000{len(self.messages)}.000100"})


def blocks_are_good(blocks: Any) -> bool:
    kinds = {"section", "divider", "header", "context", "actions", "image"}
    return (
        isinstance(blocks, list)
        and len(blocks) <= 50
        and all(isinstance(each, dict) and each.get("type") in kinds for each in blocks)
    )


def no(error: str) -> Told:
    return Told(200, {"ok": False, "error": error})


VENDOR = Slack
