"""Webhook subscriptions over HTTP: documents, states, secrets and a delivery to try them with."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from consumers.webhooks.registry import Subscription
from service import examples_subscriptions as examples
from service.answers import answer
from service.cursors import after, cursor_of
from service.guard import With
from service.headers import if_match, not_modified
from service.params import Cursor, Limit, decoded
from service.problems import invalid_parameter
from service.subscriptions import (
    changing,
    checked,
    create,
    describe,
    known,
    merged,
    no_subscription,
    read_json,
    send_test,
)

reads = APIRouter(prefix="/v1/subscriptions", tags=["subscriptions"])
changes = APIRouter(prefix="/v1/subscriptions", tags=["subscriptions"])

_HOUR_MS = 3_600_000
_OVERLAP_HOURS_MAX = 168


async def _subscription(
    subscription: Annotated[str, Path(description="The subscription's id.", examples=[examples.ID])],
) -> str:
    return decoded(subscription)


SubscriptionId = Annotated[str, Depends(_subscription)]


@reads.get("", summary="All webhook subscriptions, oldest first", responses=examples.LIST)
async def list_subscriptions(parts: With, limit: Limit, cursor: Cursor = None) -> Response:
    """Each with its state and where its deliveries are. `cursor` is null on the last page."""
    entries = (await parts.subscriptions.snapshot()).entries
    start = after(cursor) if cursor else ""
    ids = sorted(each for each in entries if each > start)
    page = [entries[each] for each in ids[:limit]]
    following = cursor_of(page[-1].id) if len(ids) > limit else None
    return answer({"subscriptions": await describe(parts, page), "cursor": following})


@changes.post(
    "",
    summary="Subscribe an address to transitions",
    status_code=201,
    responses=examples.CREATE,
    openapi_extra=examples.DOCUMENT_BODY,
)
async def create_subscription(parts: With, request: Request) -> Response:
    """Delivered is what happens from now on, signed by Standard Webhooks 1.0. `secret` is told here and never again.

    The address is checked for its form only; `POST /v1/subscriptions/{subscription}/test` tells whether it can be
    called.
    """
    if_match(request, None)
    entry, secret = await create(parts, await checked(parts, await read_json(request)))
    return await _told(parts, entry, 201, secret)


@reads.get("/{subscription}", summary="One subscription", responses=examples.GET)
async def get_subscription(parts: With, subscription: SubscriptionId, request: Request) -> Response:
    """The `ETag` names the version of the document and the state: it stays while deliveries go on."""
    entry = await known(parts, subscription)
    if not_modified(request, entry.etag):
        return Response(status_code=304, headers={"ETag": entry.etag})
    return await _told(parts, entry)


@changes.put(
    "/{subscription}", summary="Change a subscription", responses=examples.CHANGE, openapi_extra=examples.DOCUMENT_BODY
)
async def put_subscription(parts: With, subscription: SubscriptionId, request: Request) -> Response:
    """The whole document; what it leaves out has its default. `If-Match` changes that version only (else 412)."""
    raw = await read_json(request)
    return await _put(parts, request, subscription, lambda entry: raw)


@changes.patch(
    "/{subscription}",
    summary="Change fields of a subscription",
    responses=examples.CHANGE,
    openapi_extra=examples.PATCH_BODY,
)
async def patch_subscription(parts: With, subscription: SubscriptionId, request: Request) -> Response:
    """A JSON merge patch (RFC 7396) of the document: null takes a field back to its default."""
    patch = await read_json(request)
    return await _put(parts, request, subscription, lambda entry: merged(entry.document, patch))


async def _put(parts: With, request: Request, subscription: str, raw_of: Any) -> Response:
    async def change(entry: Subscription) -> tuple[Subscription | None, str]:
        document = await checked(parts, raw_of(entry))
        return await parts.subscriptions.put(subscription, document, expected=entry.version)

    entry, secret = await changing(parts, request, subscription, change)
    return await _told(parts, _there(entry, subscription), secret=secret)


@changes.delete("/{subscription}", summary="Delete a subscription", status_code=204, responses=examples.DELETE)
async def delete_subscription(parts: With, subscription: SubscriptionId, request: Request) -> Response:
    """Nothing more is delivered to it, nor kept of it."""

    async def change(entry: Subscription) -> None:
        await parts.subscriptions.delete(subscription, expected=entry.version)

    await changing(parts, request, subscription, change)
    return Response(status_code=204)


@changes.post("/{subscription}/pause", summary="Deliver nothing for now", responses=examples.CHANGE)
async def pause_subscription(parts: With, subscription: SubscriptionId, request: Request) -> Response:
    """It keeps its place; calls that are under way end. What leaves the feed meanwhile is lost to it, and counted."""

    async def change(entry: Subscription) -> Subscription | None:
        return await parts.subscriptions.set_state(subscription, "paused", expected=entry.version)

    return await _told(parts, _there(await changing(parts, request, subscription, change), subscription))


@changes.post("/{subscription}/resume", summary="Deliver again", responses=examples.CHANGE)
async def resume_subscription(
    parts: With,
    subscription: SubscriptionId,
    request: Request,
    start: Annotated[
        Literal["stopped", "now"],
        Query(alias="from", description="`stopped`: from where it stopped. `now`: leaves out what happened until now."),
    ] = "stopped",
) -> Response:
    """Of a paused or disabled subscription. With `?from=now` what it has not been sent is left out; what was tried
    before and has failed is tried again in any case."""

    async def change(entry: Subscription) -> Subscription | None:
        skip_to = await parts.feed.now() if start == "now" else None
        return await parts.subscriptions.set_state(subscription, "active", skip_to=skip_to, expected=entry.version)

    return await _told(parts, _there(await changing(parts, request, subscription, change), subscription))


@changes.post(
    "/{subscription}/secret",
    summary="Replace the secret",
    responses=examples.ROTATE,
    openapi_extra=examples.ROTATE_BODY,
)
async def rotate_secret(parts: With, subscription: SubscriptionId, request: Request) -> Response:
    """New keys; those there were sign beside them for `overlap_hours` (24 if it is not said, 0 for not at all).
    `secret` is told here and never again."""
    overlap_ms = _overlap_ms(await read_json(request, empty={}))

    async def change(entry: Subscription) -> tuple[Subscription | None, str]:
        return await parts.subscriptions.rotate(subscription, overlap_ms=overlap_ms, expected=entry.version)

    entry, secret = await changing(parts, request, subscription, change)
    return await _told(parts, _there(entry, subscription), secret=secret)


def _overlap_ms(raw: Any) -> int:
    hours = raw.get("overlap_hours", 24) if isinstance(raw, dict) and not set(raw) - {"overlap_hours"} else None
    if not isinstance(hours, int | float) or isinstance(hours, bool) or not 0 <= hours <= _OVERLAP_HOURS_MAX:
        raise invalid_parameter("overlap_hours", f"must be a number from 0 to {_OVERLAP_HOURS_MAX}, and all there is")
    return int(hours * _HOUR_MS)


@changes.post("/{subscription}/test", summary="Send a test delivery now", responses=examples.TEST)
async def try_subscription(parts: With, subscription: SubscriptionId) -> Response:
    """A `segmentd.test` event, signed as every delivery, also while paused or disabled; answers what came back.

    `error` says why nothing did: the address is not allowed, takes no connection, or did not answer in time.
    """
    return answer(await send_test(parts, await known(parts, subscription)))


async def _told(parts: With, entry: Subscription, status: int = 200, secret: str = "") -> Response:
    headers = {"ETag": entry.etag}
    if secret:
        headers["Cache-Control"] = "no-store"
    if status == 201:
        headers["Location"] = f"/v1/subscriptions/{entry.id}"
    [described] = await describe(parts, [entry], secret)
    return answer(described, status, headers)


def _there(entry: Subscription | None, subscription: str) -> Subscription:
    """Raises 404 where it was deleted meanwhile."""
    if entry is None:
        raise no_subscription(subscription)
    return entry
