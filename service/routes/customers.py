"""One customer: what is known, which segments they are in and until when, and why."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Query, Response
from rules.explain import aggregates, explain, forecast

from rules.plan import Plan
from rules.profile import CHANGED, SEQUENCE, Profile, new_profile
from service import examples
from service.answers import answer, instant
from service.guard import With
from service.params import CustomerId, SegmentId
from service.problems import Problem
from service.segments import known

router = APIRouter(prefix="/v1/customers", tags=["customers"])


class Seen(NamedTuple):
    """A customer as of an instant (ms) up to which everything announced is settled."""

    profile: Profile
    plan: Plan
    as_of: int


@router.get("/{customer}", summary="A customer's profile and aggregates", responses=examples.GET_CUSTOMER)
async def get_customer(parts: With, customer: CustomerId) -> Response:
    """Attributes, tags, and every aggregate that a segment asks for, as of `as_of`."""
    profile, plan, as_of = await _seen(parts, customer, must_exist=True)
    return answer(
        {
            "customer_id": customer,
            "as_of": instant(as_of),
            "attributes": {name: held[0] for name, held in sorted(profile.attributes.items()) if held[0] is not None},
            "tags": sorted(tag for tag, held in profile.tags.items() if held[0]),
            "aggregates": aggregates(profile, plan, as_of),
        }
    )


@router.get("/{customer}/segments", summary="The segments a customer is in", responses=examples.CUSTOMER_SEGMENTS)
async def get_memberships(parts: With, customer: CustomerId) -> Response:
    """With `since`, and `leaves_at` if nothing happens (null: never; absent: not foreseeable). Somebody never seen is
    in none."""
    profile, plan, as_of = await _seen(parts, customer)
    segments = [
        {"segment": segment, **_membership(profile, plan, segment, as_of)}
        for segment in sorted(profile.members)
        if profile.is_member(segment)
    ]
    return answer({"customer_id": customer, "as_of": instant(as_of), "segments": segments})


@router.get(
    "/{customer}/segments/{segment}",
    summary="One membership, and why",
    responses=examples.CUSTOMER_SEGMENT,
)
async def get_membership(
    parts: With,
    customer: CustomerId,
    segment: SegmentId,
    explained: Annotated[bool, Query(alias="explain", description="Add the evaluated condition tree.")] = False,
) -> Response:
    """Whether, since when, until when; with `?explain=true` every condition with its value, what was asked, whether it
    holds and until when."""
    await known(parts, segment)
    profile, plan, as_of = await _seen(parts, customer)
    content = {
        "customer_id": customer,
        "segment": segment,
        "as_of": instant(as_of),
        "member": profile.is_member(segment),
    }
    content |= _membership(profile, plan, segment, as_of)
    if explained:
        content["explanation"] = explain(profile, plan, segment, as_of) if segment in plan.segments else None
    return answer(content)


async def _seen(parts: With, customer: str, *, must_exist: bool = False) -> Seen:
    """The customer now. What is due after `wake` may not be settled yet, so nothing is told beyond it."""
    profile, clock, plan = await asyncio.gather(
        parts.reads.profile(customer), parts.reads.clock(customer), parts.reads.plan(customer)
    )
    if profile is None:
        if must_exist:
            raise Problem(404, "no-customer", "Nothing was ever received about this customer.")
        profile = new_profile(customer)
    now_ms = time.time_ns() // 1_000_000
    return Seen(profile, plan, max(clock, min(now_ms, profile.wake)))


def _membership(profile: Profile, plan: Plan, segment: str, as_of: int) -> dict[str, Any]:
    state = profile.members.get(segment)
    member = profile.is_member(segment)
    content: dict[str, Any] = {
        "since": instant(state[CHANGED]) if state and member else None,
        "sequence": state[SEQUENCE] if state else 0,
    }
    if segment in plan.segments:
        ahead = forecast(profile, plan, segment, as_of)
        if ahead is not None:
            content["leaves_at" if member else "enters_at"] = instant(ahead)
    return content
