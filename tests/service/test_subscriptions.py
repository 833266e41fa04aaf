"""Webhook subscriptions over HTTP: documents with versions, secrets told once, states, a delivery to try them with."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from standardwebhooks.webhooks import Webhook

from service import examples_subscriptions as examples
from service.settings import Settings
from service.wiring import Services
from tests.consumers.webhooks.worlds import receiver
from tests.service.sending import is_problem, put

URL = "https://hooks.example.com/segmentd"
PATH = "/v1/subscriptions"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"outbound_allow": ("127.0.0.0/8",), "subscriptions_max": 5})


async def made(client: httpx2.AsyncClient, **document: Any) -> dict[str, Any]:
    answer = await client.post(PATH, json={"url": URL, **document})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def at(subscription: dict[str, Any], rest: str = "") -> str:
    return f"{PATH}/{subscription['id']}{rest}"


async def test_a_subscription_is_made_with_a_secret_that_is_told_once(client: httpx2.AsyncClient) -> None:
    answer = await client.post(PATH, json={"url": URL, "description": "The CRM"})
    assert answer.status_code == 201
    subscription = answer.json()
    assert answer.headers["location"] == at(subscription)
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["cache-control"] == "no-store"
    secret = subscription.pop("secret")
    assert secret.startswith("whsec_")
    assert (subscription["state"], subscription["document"]["kinds"]) == ("active", ["entered", "exited"])
    again = await client.get(at(subscription))
    assert again.headers["etag"] == '"1"'
    assert again.json() == subscription
    assert secret not in (await client.get(PATH)).text
    assert (await client.get(at(subscription), headers={"If-None-Match": '"1"'})).status_code == 304


async def test_the_examples_have_what_the_service_answers(client: httpx2.AsyncClient) -> None:
    await put(client, {"id": "big-spenders", "enter": {"event": "purchase"}})
    found = await made(client, **examples.DOCUMENT)
    assert found.keys() == (examples.SUBSCRIPTION | {"secret": ""}).keys()
    assert found["document"] == examples.DOCUMENT
    assert found["deliveries"].keys() == examples.STANDING.keys()
    assert found["keys"][0].keys() == examples.SUBSCRIPTION["keys"][0].keys()  # type: ignore[index]


async def test_every_mistake_of_a_document_is_told(client: httpx2.AsyncClient) -> None:
    answer = await client.post(PATH, json={"url": "https://127.1/", "kinds": ["left"], "concurency": 1})
    problem = is_problem(answer, 422, "subscription-invalid")
    assert [mistake["at"] for mistake in problem["mistakes"]] == ["url", "kinds[0]", "concurency"]
    answer = await client.post(PATH, json={"url": URL, "segments": ["nobody"]})
    assert is_problem(answer, 422, "subscription-invalid")["mistakes"] == [
        {"at": "segments[0]", "message": "no such segment `nobody`"}
    ]
    is_problem(await client.post(PATH, content=b"{"), 400, "unreadable")
    is_problem(await client.post(PATH, json=[URL]), 422, "subscription-invalid")


async def test_a_list_is_paged_and_bounded(client: httpx2.AsyncClient) -> None:
    ids = [(await made(client))["id"] for _ in range(5)]
    assert ids == sorted(ids)
    is_problem(await client.post(PATH, json={"url": URL}), 409, "subscriptions-limit")
    first = (await client.get(PATH, params={"limit": 3})).json()
    rest = (await client.get(PATH, params={"limit": 3, "cursor": first["cursor"]})).json()
    assert [each["id"] for each in first["subscriptions"] + rest["subscriptions"]] == ids
    assert rest["cursor"] is None


async def test_a_change_is_of_the_version_that_was_read(client: httpx2.AsyncClient) -> None:
    subscription = await made(client)
    body = {"url": URL, "concurrency": 9}
    answer = await client.put(at(subscription), json=body, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
    assert answer.json()["document"]["concurrency"] == 9
    assert "secret" not in answer.json()
    problem = is_problem(
        await client.put(at(subscription), json=body, headers={"If-Match": '"1"'}), 412, "changed-meanwhile"
    )
    assert '"2"' in problem["detail"]
    assert (await client.put(at(subscription), json=body)).json()["version"] == 2, "the same again changes nothing"
    is_problem(await client.put(at(subscription), json={"url": "x"}), 422, "subscription-invalid")


async def test_a_patch_changes_what_it_names_and_null_is_the_default(client: httpx2.AsyncClient) -> None:
    subscription = await made(client, concurrency=9, per_second=3)
    patched = (await client.patch(at(subscription), json={"description": "x"})).json()
    assert patched["document"] == subscription["document"] | {"description": "x"}
    patched = (await client.patch(at(subscription), json={"concurrency": None, "per_second": None})).json()
    assert (patched["document"]["concurrency"], patched["document"]["per_second"]) == (4, None)
    is_problem(await client.patch(at(subscription), json={"url": None}), 422, "subscription-invalid")
    is_problem(await client.patch(at(subscription), json=["x"]), 422, "subscription-invalid")


async def test_a_key_pair_is_shown_by_its_public_key_only(client: httpx2.AsyncClient) -> None:
    subscription = await made(client, signatures=["v1a"])
    assert "secret" not in subscription
    [key] = subscription["keys"]
    assert (key["kind"], key["public"][:5]) == ("v1a", "whpk_")
    both = (await client.patch(at(subscription), json={"signatures": ["v1a", "v1"]})).json()
    assert both["secret"].startswith("whsec_")
    assert "whsk_" not in (await client.get(at(subscription))).text


async def test_a_rotated_secret_is_told_once_and_the_old_one_ends(client: httpx2.AsyncClient) -> None:
    subscription = await made(client)
    answer = await client.post(at(subscription, "/secret"))
    rotated = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert rotated["secret"] not in ("", subscription["secret"])
    assert [key["until"] is None for key in rotated["keys"]] == [True, False]
    at_once = (await client.post(at(subscription, "/secret"), json={"overlap_hours": 0})).json()
    assert [key["until"] for key in at_once["keys"]] == [None]
    for body in ({"overlap_hours": -1}, {"overlap_hours": 1000}, {"overlap": 1}, {"overlap_hours": "1"}, [1]):
        is_problem(await client.post(at(subscription, "/secret"), json=body), 400, "invalid-parameter")


async def test_pause_and_resume(client: httpx2.AsyncClient, services: Services) -> None:
    subscription = await made(client)
    paused = (await client.post(at(subscription, "/pause"))).json()
    assert (paused["state"], paused["version"]) == ("paused", 2)
    is_problem(await client.post(at(subscription, "/resume"), headers={"If-Match": '"1"'}), 412, "changed-meanwhile")
    resumed = (await client.post(at(subscription, "/resume"))).json()
    assert (resumed["state"], resumed["version"]) == ("active", 3)
    await client.post(at(subscription, "/pause"))
    await client.post(at(subscription, "/resume"), params={"from": "now"})
    entry = await services.subscriptions.get(subscription["id"])
    assert entry is not None
    assert (entry.state, entry.skip_to) == ("active", await services.feed.now())
    is_problem(await client.post(at(subscription, "/resume"), params={"from": "x"}), 400, "invalid-parameter")


async def test_what_was_disabled_says_why_and_is_resumed(client: httpx2.AsyncClient, services: Services) -> None:
    subscription = await made(client)
    await services.subscriptions.set_state(subscription["id"], "disabled", "the receiver answered 410 Gone")
    found = (await client.get(at(subscription))).json()
    assert (found["state"], found["why"]) == ("disabled", "the receiver answered 410 Gone")
    resumed = (await client.post(at(subscription, "/resume"))).json()
    assert (resumed["state"], resumed["why"]) == ("active", None)


async def test_what_is_deleted_is_not_there(client: httpx2.AsyncClient) -> None:
    subscription = await made(client)
    is_problem(await client.delete(at(subscription), headers={"If-Match": '"9"'}), 412, "changed-meanwhile")
    assert (await client.delete(at(subscription))).status_code == 204
    for method, rest in (
        *(("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume"), ("POST", "/secret")),
        *(("POST", "/test"), ("GET", "/deliveries"), ("GET", "/jobs"), ("GET", "/jobs/x"), ("POST", "/jobs/x/stop")),
        ("POST", "/deliveries/x/resend"),
    ):
        answer = await client.request(method, at(subscription, rest), json={} if method == "PATCH" else None)
        is_problem(answer, 404, "no-subscription")
    is_problem(await client.put(at(subscription), json={"url": URL}), 404, "no-subscription")
    is_problem(await client.post(at(subscription, "/replay"), json={"failed": True}), 404, "no-subscription")


async def test_a_test_delivery_is_signed_and_tells_what_came_back(client: httpx2.AsyncClient) -> None:
    async with receiver() as to:
        subscription = await made(client, url=to.url)
        await client.post(at(subscription, "/pause"))
        to.say(404, body="no such hook")
        found = (await client.post(at(subscription, "/test"))).json()
    assert found.keys() == examples.TRIED.keys()
    assert (found["delivered"], found["status"], found["error"], found["body"]) == (False, 404, None, "no such hook")
    [(headers, body)] = to.taken
    event = Webhook(subscription["secret"]).verify(body, headers)
    assert (event["type"], event["id"]) == ("segmentd.test", found["id"])


async def test_a_test_delivery_tells_why_nothing_came_back(client: httpx2.AsyncClient) -> None:
    subscription = await made(client, url="https://10.0.0.1/")
    found = (await client.post(at(subscription, "/test"))).json()
    assert (found["delivered"], found["status"]) == (False, None)
    assert "not on the public internet" in found["error"]
