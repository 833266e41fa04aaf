"""A segment's card as a CRM shows one, by API alone: name, about, conditions in words, what happened last, an action
run over all members, an action added."""

from __future__ import annotations

from typing import Any

from service.auth import parse_tokens
from service.settings import Settings
from tests.service.acting import acting, until_true
from tests.service.sending import WAIT, event, put, send

TOKENS = {"a-token-of-ana-0": {"name": "ana", "scopes": ["manage", "ingest"]}}
CARD: dict[str, Any] = {
    "id": "big-spenders",
    "name": "Big spenders",
    "about": "Those who spent 100 or more in a month.",
    "enter": {"event": "purchase", "within": "30d", "sum": {"of": "amount", "gte": 100}},
}
CALL = {"id": "call", "on": "entered", "use": "crm.task", "with": {"text": "Call {{ customer.name }}"}}


async def test_a_segment_card_works_whole_by_api(settings: Settings) -> None:
    known = settings.model_copy(update={"tokens": parse_tokens(TOKENS)})
    async with acting(known, Authorization="Bearer a-token-of-ana-0") as shop:
        card = await put(shop.client, CARD)
        assert (card["document"]["name"], card["document"]["about"]) == (CARD["name"], CARD["about"])
        assert card["words"]["sentence"] == "has a total amount of at least 100 over purchases in the last 30 days"
        await send(shop.client, event("1", "ana", amount=150), event("2", "bea", amount=99))
        await shop.client.put("/v1/segments/big-spenders/members/eva", headers=WAIT)

        # An action is added: nobody enters again, nobody is called for having entered before.
        answer = await shop.client.get("/v1/segments/big-spenders")
        document, etag = answer.json()["document"], answer.headers["etag"]
        changed = await shop.client.put(
            "/v1/segments/big-spenders", json=document | {"actions": [CALL]}, headers={"If-Match": etag}
        )
        assert changed.status_code == 200, changed.text
        assert (changed.json()["version"], changed.json()["revision"]) == (1, 1)
        assert (etag, changed.headers["etag"]) == ('"1"', '"1.1"')
        late = await shop.client.put("/v1/segments/big-spenders", json=document, headers={"If-Match": etag})
        assert late.status_code == 412

        await send(shop.client, event("3", "bea", amount=1))
        await shop.called("bea")
        [(call, with_, [subject], keys)] = shop.crm.said
        assert (call, with_, keys) == ("task", CALL["with"], ["call:big-spenders:bea:1"])
        assert subject.segment["name"] == "Big spenders"

        # ... and run over all members.
        begun = await shop.client.post("/v1/segments/big-spenders/actions/call/runs")
        assert begun.status_code == 202, begun.text
        assert begun.json()["members"] == 3
        run = begun.json()["run"]
        await shop.called("bea", "ana", "bea", "eva")

        async def finished() -> bool:
            return bool((await shop.get(f"/v1/runs/{run}"))["state"] == "finished")

        await until_true(finished)
        report = await shop.get(f"/v1/runs/{run}")
        assert (report["members"], report["done"], report["failed"], report["by"]) == (3, 3, 0, "ana")

        # What happened, newest first: who did what, and what came of it.
        feed = await shop.feed("big-spenders", until_last="called")
        told = [(each["kind"], each.get("customer_id") or each["what"], each.get("by")) for each in feed]
        assert sorted(told[:3]) == [("called", customer, None) for customer in ("ana", "bea", "eva")]
        assert told[3:] == [
            ("called", "bea", None),
            ("entered", "bea", None),
            ("edited", "actions", "ana"),
            ("entered", "eva", "ana"),
            ("entered", "ana", None),
            ("edited", "created", "ana"),
        ]
        assert {each["run"] for each in feed[:3]} == {run}
        assert feed[3]["outcome"] == "done"
        assert feed[4]["why"][0]["value"] == 100

        [action] = (await shop.get("/v1/segments/big-spenders/actions"))["actions"]
        assert (action["id"], action["use"], action["active"], action["done"]) == ("call", "crm.task", True, 4)
