"""The link in a mail by which its recipient wants no more of them; and for whoever manages mail, the list of those.

The link is for anybody who has it, without a token: it is signed, says no address, and can only unsubscribe. Looking at
it (GET: people, and programs that look at every link) changes nothing; the button and RFC 8058's one click (POST) do.
"""

from __future__ import annotations

import time
from html import escape
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from consumers.connectors.mail.addresses import Address, AddressInvalid, parse_address, parse_mailbox
from consumers.connectors.mail.connector import UNSUBSCRIBE_PATH
from consumers.connectors.mail.suppression import Suppression, Suppressions
from rules.events import Event
from service import examples_mail as examples
from service.answers import answer, instant
from service.guard import With
from service.ingest import append
from service.mail import suppressions_of
from service.params import decoded
from service.problems import Problem, invalid_parameter
from service.settings import Settings
from service.wiring import Services

public = APIRouter(include_in_schema=False)
changes = APIRouter(prefix="/v1/mail", tags=["mail"])
ATTRIBUTE = "email_unsubscribed"
"""Of the customer's profile, set to true through the log: conditions and `unless` can ask for it."""

_POLICY = "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"


# -- the link ---------------------------------------------------------------------------------------------------------


@public.get(UNSUBSCRIBE_PATH + "{token}")
@public.head(UNSUBSCRIBE_PATH + "{token}")
async def ask(parts: With, token: str) -> Response:
    """Asks; changes nothing."""
    found = suppressions_of(parts.settings, parts.store)
    if found is None or found.keys.read(decoded(token)) is None:
        return _unknown()
    button = '<button name="List-Unsubscribe" value="One-Click">Unsubscribe</button>'
    return _page(
        "Unsubscribe?", f'No more mail from {_sender(parts.settings)}?</p><form method="post">{button}</form><p>'
    )


@public.post(UNSUBSCRIBE_PATH + "{token}")
async def unsubscribe(parts: With, token: str) -> Response:
    """Unsubscribes; the body says nothing that is needed, and is not read. Again it changes nothing."""
    found = suppressions_of(parts.settings, parts.store)
    claim = found.keys.read(decoded(token)) if found is not None else None
    if found is None or claim is None:
        return _unknown()
    await _unsubscribed(parts, found, claim.hash, claim.customer_id)
    return _page("Unsubscribed", f"You get no more mail from {_sender(parts.settings)}.")


async def _unsubscribed(parts: Services, found: Suppressions, hashed: str, customer_id: str) -> None:
    """On the list first, durably; then the log is told, once. Raises Unavailable: the list may then have it already."""
    entry = await found.find_hash(hashed)
    if entry is None or entry.why != "unsubscribed":
        entry = await found.add_hash(hashed, "unsubscribed", time.time_ns() // 1_000_000)
    if entry.told:
        return
    event = Event(
        type="profile",
        customer_id=customer_id,
        ts=entry.since_ms,
        id=f"unsubscribe-{hashed}-{entry.since_ms}",
        properties={"set": {ATTRIBUTE: True}},
    )
    await append(parts, [event])
    await found.told(hashed, entry)


def _sender(settings: Settings) -> str:
    try:
        sender = parse_mailbox(settings.mail_from)
    except AddressInvalid:
        return "us"
    return escape(sender.name or sender.address.domain)


def _unknown() -> Response:
    return _page("Not found", "This link is not one of ours, or not whole: take all of it, as it is in the mail.", 404)


def _page(title: str, html: str, status: int = 200) -> Response:
    content = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><h1>{title}</h1><p>{html}</p></html>"
    )
    headers = {"Content-Security-Policy": _POLICY, "X-Robots-Tag": "noindex"}
    return Response(content, status, headers, "text/html; charset=utf-8")


# -- the list ---------------------------------------------------------------------------------------------------------


async def _list(parts: With) -> Suppressions:
    found = suppressions_of(parts.settings, parts.store)
    if found is None:
        raise Problem(404, "not-found", "Mail is not set up here (SEGMENTD_MAIL_SECRET).")
    return found


def _address(text: str) -> Address:
    try:
        return parse_address(text)
    except AddressInvalid as error:
        raise invalid_parameter("address", str(error)) from None


_AddressText = Annotated[str, Query(description="An e-mail address.", max_length=400, examples=["ana@shop.example"])]
_ListOf = Annotated[Suppressions, Depends(_list)]


@changes.get("/suppressions", summary="Who gets no mail", responses=examples.SUPPRESSIONS)
async def get_suppressions(
    found: _ListOf, address: Annotated[str | None, Query(description="One to look for.", max_length=400)] = None
) -> Response:
    """How many addresses get no mail, and whether the one asked for does. They cannot be listed: only their hashes are
    kept."""
    count = await found.count()
    if address is None:
        return answer({"count": count})
    return answer({"count": count, "address": _told(await found.find(_address(address)))})


@changes.put("/suppressions", summary="Send an address no more mail", responses=examples.SUPPRESS)
async def suppress(found: _ListOf, address: _AddressText) -> Response:
    """As if its owner had unsubscribed, for whom that was said elsewhere; the log is not told, for the customer is not
    known."""
    entry = await found.add(_address(address), "unsubscribed", time.time_ns() // 1_000_000)
    return answer({"address": _told(entry)})


@changes.delete("/suppressions", summary="Send an address mail again", status_code=204, responses=examples.LIFT)
async def lift(found: _ListOf, address: _AddressText) -> Response:
    """Takes it off the list. Only for who asked for it, or for a bounce that was a mistake."""
    if not await found.lift(_address(address)):
        raise Problem(404, "not-found", "This address is not on the list.")
    return Response(status_code=204)


def _told(entry: Suppression | None) -> dict[str, object]:
    if entry is None:
        return {"suppressed": False, "why": None, "since": None}
    return {"suppressed": True, "why": entry.why, "since": instant(entry.since_ms)}
