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
from service.documents import in_words
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
    content: dict[str, Any] = {"customer_id": customer, "segment": segment, "as_of": instant(as_of), "member": False}
    if segment in plan.segments:  # its definition may just be on its way to this customer's partition
        found = explain(profile, plan, segment, as_of)
        trees = {key: found.pop(key) for key in ("enter", "exit") if key in found}
        content |= found
        if explained:
            phrases = in_words(plan.definitions[segment].document or {})["texts"]
            content["explanation"] = {key: _with_words(tree, phrases) for key, tree in trees.items()}
    return answer(content)


def _with_words(tree: dict[str, Any] | None, phrases: dict[str, str]) -> dict[str, Any] | None:
    """The evaluated tree with each condition in words beside its path."""
    if tree is None:
        return None
    told = {"at": tree["at"], "text": phrases.get(tree["at"], ""), **tree}
    if "of" in tree and isinstance(tree["of"], list):
        told["of"] = [_with_words(inner, phrases) for inner in tree["of"]]
    return told


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
    sequence, changed = profile.members[segment][SEQUENCE], profile.members[segment][CHANGED]
    content: dict[str, Any] = {"since": instant(changed), "sequence": sequence}
    if segment in plan.segments:
        leaves = forecast(profile, plan, segment, as_of)
        if leaves is not None:
            content["leaves_at"] = instant(leaves)
    return content
