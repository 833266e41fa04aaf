"""Webhook subscriptions between HTTP and the registry: documents in, changes made once, states and deliveries told."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import msgspec
import orjson
from fastapi import Request

from consumers.clock import SYSTEM_CLOCK
from consumers.delivery.reads import Standing
from consumers.outbound import OutboundFailed, OutboundRefused
from consumers.webhooks import documents
from consumers.webhooks.documents import Document, SubscriptionInvalid
from consumers.webhooks.registry import Conflict, Subscription, TooMany
from consumers.webhooks.sealing import SealBroken
from consumers.webhooks.settings import Settings as WebhookSettings
from consumers.webhooks.signing import webhook_id
from consumers.webhooks.target import WebhookTarget
from rules.errors import Mistake
from rules.limits import DAY_MS
from rules.times import format_instant
from service.answers import instant
from service.bodies import read_body
from service.headers import if_match
from service.problems import Problem, told, unavailable
from service.settings import KIB, Settings
from service.wiring import Services

Changed = TypeVar("Changed")

_BODY_BYTES_MAX = 256 * KIB
_ATTEMPTS = 20  # others may change a subscription meanwhile
_EXCERPT_CHARS = 500  # of what a test delivery got back


def webhook_settings(settings: Settings) -> WebhookSettings:
    """What a delivery process is to hold itself to."""
    return WebhookSettings(
        timeout_s=settings.outbound_timeout_seconds,
        disable_after_ms=int(settings.webhook_disable_after_days * DAY_MS),
    )


async def read_json(request: Request, *, empty: Any = None) -> Any:
    """The body as JSON; `empty` where there is none. Raises Problem."""
    body = await read_body(request, _BODY_BYTES_MAX, _BODY_BYTES_MAX)
    if not body.strip() and empty is not None:
        return empty
    try:
        return msgspec.json.decode(body)
    except ValueError as error:
        raise Problem(400, "unreadable", f"The body is not JSON: {error}.") from None


async def checked(parts: Services, raw: Any) -> Document:
    """A good document, whose segments there are. Raises Problem with every mistake."""
    try:
        document = documents.read(raw)
    except SubscriptionInvalid as error:
        raise _invalid(error.mistakes) from None
    if document.segments != documents.ALL:
        known = (await parts.registry.snapshot()).entries
        named = enumerate(document.segments)
        missing = [Mistake(f"segments[{at}]", f"no such segment `{name}`") for at, name in named if name not in known]
        if missing:
            raise _invalid(missing)
    return document


def _invalid(mistakes: Sequence[Mistake]) -> Problem:
    count = "one mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    return Problem(422, "subscription-invalid", f"The document has {count}.", mistakes=told(mistakes))


async def create(parts: Services, document: Document) -> tuple[Subscription, str]:
    """The subscription, from the feed's end on, and its secret. Raises Problem."""
    begin = await parts.feed.now()
    try:
        return await parts.subscriptions.create(document, begin, parts.settings.subscriptions_max)
    except TooMany:
        most = parts.settings.subscriptions_max
        detail = f"At most {most} subscriptions can exist; delete one first."
        raise Problem(409, "subscriptions-limit", detail, limit=most) from None


async def known(parts: Services, subscription: str) -> Subscription:
    """The subscription; raises 404."""
    entry = await parts.subscriptions.get(subscription)
    if entry is None:
        raise no_subscription(subscription)
    return entry


def no_subscription(subscription: str) -> Problem:
    return Problem(404, "no-subscription", f"There is no subscription {subscription!r}.")


async def changing(
    parts: Services, request: Request, subscription: str, change: Callable[[Subscription], Awaitable[Changed]]
) -> Changed:
    """What `change` gives for the subscription as it stands, if `If-Match` allows it; again where others were quicker.

    `change` raises Conflict where it is not at the version it was given. Raises Problem.
    """
    for _ in range(_ATTEMPTS):
        entry = await known(parts, subscription)
        if_match(request, entry.etag)
        try:
            return await change(entry)
        except Conflict:
            continue
    raise unavailable("This subscription is changed by too many at once; try again.", 1)


def merged(document: Document, patch: Any) -> Any:
    """The document's JSON with a merge patch (RFC 7396) over it: null takes a field back to its default."""
    if not isinstance(patch, dict):
        return patch
    whole = {**documents.written(document), **patch}
    return {name: value for name, value in whole.items() if value is not None or name == "per_second"}


async def describe(parts: Services, entries: Sequence[Subscription], secret: str = "") -> list[dict[str, Any]]:
    """Subscriptions as the API tells them, each with where its deliveries are; never a secret but a new one."""
    standings = await parts.deliveries.standings([entry.target for entry in entries]) if entries else []
    more = {"secret": secret} if secret else {}
    return [_described(entry, standing) | more for entry, standing in zip(entries, standings, strict=True)]


def _described(entry: Subscription, standing: Standing) -> dict[str, Any]:
    now = SYSTEM_CLOCK.now_ms()
    return {
        "id": entry.id,
        "version": entry.version,
        "state": entry.state,
        "why": entry.why or None,
        "since": format_instant(entry.since),
        "document": documents.written(entry.document),
        "keys": [
            {
                "kind": key.kind,
                "public": key.public or None,
                "made_at": format_instant(key.made_at),
                "until": instant(key.until_ms or None),
            }
            for key in entry.signing_keys(now)
        ],
        "deliveries": _standing(standing),
        "created_at": format_instant(entry.created_at),
        "updated_at": format_instant(entry.updated_at),
    }


def _standing(standing: Standing) -> dict[str, Any]:
    return {
        "lag": standing.lag,
        "waiting": max(0, standing.parked - standing.failing),  # until their time, or behind another
        "failing": standing.failing,
        "done": standing.done,
        "failed_attempts": standing.failed,
        "given_up": standing.given_up,
        "lost": standing.lost,
        "last_done_at": instant(standing.last_done_ms or None),
        "last_failed_at": instant(standing.last_failed_ms or None),
        "next_attempt_at": instant(standing.next_ms or None),
    }


async def send_test(parts: Services, entry: Subscription) -> dict[str, Any]:
    """One signed delivery of a made-up event, now and from here, and what came back; it is in no log."""
    timeout_s = parts.settings.outbound_timeout_seconds
    target = WebhookTarget(entry, parts.subscriptions, parts.outbound, SYSTEM_CLOCK, timeout_s)
    now = SYSTEM_CLOCK.now_ms()
    event_id = f"{entry.id}:test:{now}"
    began = time.monotonic()
    found: dict[str, Any] = {"id": event_id, "delivered": False, "status": None, "error": None, "body": None}
    try:
        answer = await target.send(webhook_id(event_id), _test_event(entry, event_id, now))
    except (OutboundFailed, OutboundRefused, SealBroken) as error:
        found["error"] = str(error)
    else:
        found["status"] = answer.status
        found["delivered"] = 200 <= answer.status < 300
        found["body"] = answer.body[:_EXCERPT_CHARS].decode("utf-8", "replace")
    return found | {"took_ms": round((time.monotonic() - began) * 1000)}


def _test_event(entry: Subscription, event_id: str, now_ms: int) -> bytes:
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": event_id,
            "source": "/segmentd",
            "type": "segmentd.test",
            "subject": entry.id,
            "time": format_instant(now_ms),
            "datacontenttype": "application/json",
            "data": {"subscription": entry.id, "description": entry.document.description},
        }
    )
