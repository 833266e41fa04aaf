"""One subscription as the deliveries see it: which items are its own, and the signed call for one of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime

import orjson

from consumers.clock import Clock
from consumers.delivery.port import Call, Done, Failed, Gone, Item, Outcome, Turn
from consumers.outbound import Answer, Outbound, OutboundFailed, OutboundRefused
from consumers.state.feed import Place, PositionInvalid, read_position
from consumers.webhooks.documents import ALL
from consumers.webhooks.registry import Subscription, Subscriptions
from consumers.webhooks.sealing import SealBroken
from consumers.webhooks.signing import sign, webhook_id

BODY_BYTES_MAX = 20_000
DISABLED = "subscription.disabled"
_ANSWER_BYTES_MAX = 4_096
_BUSY = {413, 429, 503}  # the answers that may say when to come again


class WebhookTarget:
    """A `Target` (consumers/delivery/port.py): of one version of a subscription."""

    remembers_done = False
    batch_max = 1

    def __init__(
        self, subscription: Subscription, registry: Subscriptions, outbound: Outbound, clock: Clock, timeout_s: float
    ) -> None:
        self.subscription = subscription
        self._registry, self._outbound, self._clock, self._timeout_s = registry, outbound, clock, timeout_s
        document = subscription.document
        self.id = subscription.target
        self.active = subscription.state == "active"
        self.begin = subscription.begin
        self.concurrency = document.concurrency
        self.per_second = document.per_second
        self._segments = None if document.segments == ALL else frozenset(document.segments)
        self._kinds = frozenset(document.kinds)
        self._leave_out = frozenset(document.leave_out)
        self._skipped = _places(subscription.skip_to)

    def key(self, item: Item) -> str:
        return webhook_id(item.id)

    def turn(self, item: Item) -> Turn | None:
        if item.kind == "notice":
            return Turn() if DISABLED in self._kinds else None
        if item.kind not in self._kinds or item.cause in self._leave_out:
            return None
        if self._segments is not None and item.segment not in self._segments:
            return None
        if item.partition < len(self._skipped) and item.number <= self._skipped[item.partition].number:
            return None
        return Turn(lane=item.customer_id)

    async def call(self, calls: Sequence[Call]) -> Sequence[Outcome]:
        return [await self._call(call.key, call.item.data) for call in calls]

    async def _call(self, key: str, data: bytes) -> Outcome:
        try:
            answer = await self.send(key, data)
        except (OutboundFailed, OutboundRefused, SealBroken) as error:
            # Refused ones are tried again too: what refuses is a name's addresses, or a setting, and both get mended.
            return Failed(str(error))
        return outcome_of(answer, self._clock.now_ms())

    async def send(self, key: str, data: bytes) -> Answer:
        """One call, signed now. Raises OutboundFailed, OutboundRefused, SealBroken."""
        body = cut(data)
        timestamp_s = self._clock.now_ms() // 1000
        headers = {
            "content-type": "application/json",
            "user-agent": "segmentd",
            "webhook-id": key,
            "webhook-timestamp": str(timestamp_s),
            "webhook-signature": sign(self._registry.signing_secrets(self.subscription), key, timestamp_s, body),
        }
        return await self._outbound.request(
            "POST",
            self.subscription.document.url,
            headers=headers,
            body=body,
            timeout_s=self._timeout_s,
            answer_bytes_max=_ANSWER_BYTES_MAX,
        )


def outcome_of(answer: Answer, now_ms: int) -> Outcome:
    """What an answer means: 2xx is taken, 410 wants no more, all else is tried again."""
    status = answer.status
    if 200 <= status < 300:
        return Done(f"HTTP {status}", status)
    if status == 410:
        return Gone("HTTP 410: the receiver wants no more", status)
    if 300 <= status < 400:
        return Failed(f"HTTP {status}: redirects are not followed; give the address it leads to", status)
    retry_after_s = retry_after(answer.headers.get("retry-after", ""), now_ms) if status in _BUSY else None
    return Failed(f"HTTP {status}", status, retry_after_s)


def retry_after(text: str, now_ms: int) -> float | None:
    """Seconds from now that a `Retry-After` header asks for, in seconds or as a date; None where it says neither.

    >>> retry_after("120", 0), retry_after("Thu, 01 Jan 1970 00:01:00 GMT", 30_000), retry_after("soon", 0)
    (120.0, 30.0, None)
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, IndexError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, when.timestamp() - now_ms / 1000)


def cut(data: bytes) -> bytes:
    """The CloudEvent as it is sent: within the bound, if need be with only the first of what its `why` has."""
    if len(data) < BODY_BYTES_MAX:
        return data
    event = orjson.loads(data)
    told = event.get("data")
    if not isinstance(told, dict) or not isinstance(told.get("why"), list):
        return data
    why = told["why"]
    told["why_cut"] = True
    low, high = 0, len(why)  # the most entries that fit
    while low < high:
        middle = (low + high + 1) // 2
        told["why"] = why[:middle]
        low, high = (middle, high) if len(orjson.dumps(event)) < BODY_BYTES_MAX else (low, middle - 1)
    told["why"] = why[:low]
    return orjson.dumps(event)


def _places(position: str) -> Sequence[Place]:
    try:
        return read_position(position, position.count("-") + 1) if position else ()
    except PositionInvalid:
        return ()
