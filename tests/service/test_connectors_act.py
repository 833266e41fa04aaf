"""From an event to Kommo's tasks, tags and leads, to Slack and to an address of one's own: the whole service, and
servers in processes of their own that behave as the vendors' documentation says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from service.settings import Settings
from tests.consumers.connectors.vendors import kommo, slack
from tests.consumers.connectors.vendors.serving import Remote, vendor
from tests.service.acting import Shop, acting, until
from tests.service.sending import WAIT, event, put, send

SEGMENT: dict[str, Any] = {
    "id": "spenders",
    "name": "Big spenders",
    "enter": {"event": "purchase", "sum": {"of": "amount", "gte": 100}},
}
FOR_WHO_ENTERS = [
    ("task", {"text": "Call {{ customer.name }}", "user": "{{ customer.owner }}"}),
    ("lead", {"name": "{{ customer.name }}, {{ segment.name }}", "user": 11}),
    ("field", {"field": 700, "value": "{{ segment.name }}"}),
    ("user", {"user": "{{ customer.owner }}"}),
    ("note", {"text": "Came in by {{ item.cause }}"}),
]


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Remote]]:
    with ExitStack() as stack:
        found = {name: stack.enter_context(vendor(name)) for name in ("kommo", "slack", "anything")}
        monkeypatch.setenv("SEGMENTD_CONNECTOR_KOMMO_BASE", f"{found['kommo'].base}/api/v4")
        monkeypatch.setenv("SEGMENTD_CONNECTOR_SLACK_BASE", f"{found['slack'].base}/api")
        monkeypatch.setenv("SEGMENTD_SECRET_KOMMO_TOKEN", kommo.TOKEN)
        monkeypatch.setenv("SEGMENTD_SECRET_SLACK_BOT_TOKEN", slack.TOKEN)
        yield found


@pytest.fixture
def allowing(settings: Settings) -> Settings:
    return settings.model_copy(update={"outbound_allow": ("127.0.0.0/8",)})


def profile(number: str, customer: str, **attributes: Any) -> dict[str, Any]:
    return {"id": number, "type": "profile", "customer_id": customer, "properties": {"set": attributes}}


async def enters(shop: Shop) -> None:
    """Ana, contact 7 of Kommo."""
    await send(shop.client, profile("p1", "ana", name="Ana Pop", kommo_id=7, owner=12))
    await send(shop.client, event("1", "ana", amount=150))


async def test_who_enters_is_a_contact_with_task_lead_field_user_note_and_tag(
    allowing: Settings, places: dict[str, Remote]
) -> None:
    actions = [
        {"id": f"do-{call}", "on": "entered", "use": f"kommo.{call}", "with": with_} for call, with_ in FOR_WHO_ENTERS
    ]
    actions += [{"id": "tag", "on": "member", "use": "kommo.tag", "with": {"tag": "{{ segment.id }}"}}]
    async with acting(allowing) as shop:
        await put(shop.client, {**SEGMENT, "actions": actions})
        await enters(shop)
        await until(lambda: len(places["kommo"].seen()) >= 6, places["kommo"].seen)
        state = places["kommo"].state()
        assert [(task["text"], task["entity_id"], task["responsible_user_id"]) for task in state["tasks"]] == [
            ("Call Ana Pop", 7, 12)
        ]
        assert [(lead["name"], lead["contacts"]) for lead in state["leads"]] == [("Ana Pop, Big spenders", [7])]
        ana = state["contacts"]["7"]
        assert ana["tags"] == ["spenders"]
        assert ana["responsible_user_id"] == 12
        assert ana["custom_fields_values"] == [{"field_id": 700, "values": [{"value": "Big spenders"}]}]
        assert state["notes"] == [{"entity_id": 7, "note_type": "common", "params": {"text": "Came in by event"}}]


async def test_who_leaves_loses_the_tag_their_tasks_are_done_and_their_leads_anothers(
    allowing: Settings, places: dict[str, Remote]
) -> None:
    actions = [
        {"id": "task", "on": "entered", "use": "kommo.task", "with": {"text": "Call {{ customer.name }}"}},
        {"id": "lead", "on": "entered", "use": "kommo.lead", "with": {"name": "{{ customer.name }}", "user": 11}},
        {"id": "tag", "on": "member", "use": "kommo.tag", "with": {"tag": "vip"}},
        {"id": "done", "on": "exited", "use": "kommo.complete_tasks", "with": {"result": "left"}},
        {"id": "over", "on": "exited", "use": "kommo.lead_user", "with": {"user": 12}},
    ]
    kommo = places["kommo"]
    async with acting(allowing) as shop:
        await put(shop.client, {**SEGMENT, "actions": actions})
        await enters(shop)
        await until(lambda: len(kommo.seen()) >= 3, kommo.seen)
        await shop.client.delete("/v1/segments/spenders/members/ana", headers=WAIT)

        def settled() -> bool:
            state = kommo.state()
            done = [task["is_completed"] for task in state["tasks"]] == [True]
            return done and state["leads"][0]["responsible_user_id"] == 12 and "7" not in tagged(state)

        await until(settled, kommo.state)
        assert kommo.state()["tasks"][0]["result"] == {"text": "left"}


def tagged(state: Any) -> set[str]:
    return {number for number, contact in state["contacts"].items() if contact["tags"]}


async def test_an_action_over_all_members_is_one_request_for_many(
    allowing: Settings, places: dict[str, Remote]
) -> None:
    kommo = places["kommo"]
    action = {"id": "task", "on": "exited", "use": "kommo.task", "with": {"text": "Ask {{ customer.name }}"}}
    async with acting(allowing) as shop:
        await put(shop.client, {**SEGMENT, "actions": [action]})
        people = [profile(f"p{n}", f"c{n}", name=f"C {n}", kommo_id=n) for n in range(1, 31)]
        await send(shop.client, *people, *(event(f"e{n}", f"c{n}", amount=200) for n in range(1, 31)))
        begun = await shop.client.post("/v1/segments/spenders/actions/task/runs")
        assert (begun.status_code, begun.json()["members"]) == (202, 30)
        await until(lambda: len(kommo.state()["tasks"]) >= 30, kommo.state)
        assert {task["entity_id"] for task in kommo.state()["tasks"]} == set(range(1, 31))
        assert len(kommo.state()["tasks"]) == 30
        assert len(kommo.seen()) < 30


async def test_slack_and_an_address_of_ones_own_are_told(allowing: Settings, places: dict[str, Remote]) -> None:
    url = f"{places['anything'].base}/hook"
    actions = [
        {
            "id": "tell",
            "on": "entered",
            "use": "slack.message",
            "with": {"channel": "C1", "text": "{{ customer.name }}!"},
        },
        {"id": "hook", "on": "member", "use": "webhook.post", "with": {"url": url, "json": {"way": "{{ direction }}"}}},
    ]
    async with acting(allowing) as shop:
        await put(shop.client, {**SEGMENT, "actions": actions})
        await enters(shop)
        await until(lambda: bool(places["slack"].state()), places["slack"].seen)
        await until(lambda: len(places["anything"].seen()) == 1)
        await shop.client.delete("/v1/segments/spenders/members/ana", headers=WAIT)
        await until(lambda: len(places["anything"].seen()) == 2)
        assert places["slack"].state() == [{"channel": "C1", "text": "Ana Pop!"}]
        assert [request["body"] for request in places["anything"].seen()] == ['{"way":"add"}', '{"way":"remove"}']
        named = {request["headers"]["idempotency-key"] for request in places["anything"].seen()}
        assert named == {"hook:spenders:ana:1", "hook:spenders:ana:2"}


async def test_a_call_that_kommo_refuses_is_told_with_its_words_and_without_the_token(
    allowing: Settings, places: dict[str, Remote]
) -> None:
    action = {"id": "task", "on": "entered", "use": "kommo.task", "with": {"text": "x", "user": 999}}
    async with acting(allowing) as shop:
        await put(shop.client, {**SEGMENT, "actions": [action]})
        await enters(shop)
        feed = await shop.feed("spenders", until_last="called")
        assert feed[0]["outcome"] == "refused", feed[0]
        assert "responsible_user_id: The value you selected is not a valid choice." in str(feed[0])
        assert kommo.TOKEN not in str(feed)


async def test_a_mistake_in_a_call_is_refused_with_its_place(allowing: Settings) -> None:
    action = {"id": "task", "on": "member", "use": "kommo.task", "with": {"txt": "x"}}
    async with acting(allowing) as shop:
        answer = await shop.client.put("/v1/segments/spenders", json={**SEGMENT, "actions": [action]})
        assert answer.status_code == 422
        places = [mistake["at"] for mistake in answer.json()["mistakes"]]
        assert places == ["actions[0].use", "actions[0].with.txt", "actions[0].with.text"]
