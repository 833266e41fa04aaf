"""From an event to a webhook received, and how deliveries are read and had again, with a worker in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
import pytest
from standardwebhooks.webhooks import Webhook

from consumers.delivery.worker import Worker
from consumers.webhooks.targets import WebhookTargets
from service import examples_subscriptions as examples
from service.settings import Settings
from service.subscriptions import webhook_settings
from service.wiring import Services
from tests.consumers.webhooks.worlds import Receiver, receiver
from tests.service.sending import BUYERS, event, is_problem, put, send

PATH = "/v1/subscriptions"
DEADLINE_S = 60


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"outbound_allow": ("127.0.0.0/8",)})


@pytest.fixture
async def working(services: Services) -> AsyncIterator[None]:
    """A worker that delivers."""
    targets = WebhookTargets(
        services.store,
        services.subscriptions,
        services.outbound,
        services.jobs,
        settings=webhook_settings(services.settings),
    )
    worker = Worker(services.store, services.log.partitions, targets)
    running = asyncio.create_task(worker.run())
    yield
    await worker.stop()
    await running


@pytest.fixture
async def to() -> AsyncIterator[Receiver]:
    async with receiver() as made:
        yield made


async def until(look: Callable[[], Awaitable[Any] | Any]) -> Any:
    """What `look` gives as soon as it is something."""
    deadline = asyncio.get_running_loop().time() + DEADLINE_S
    while True:
        found = look()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        assert asyncio.get_running_loop().time() < deadline, "waited for nothing"
        await asyncio.sleep(0.02)


async def subscribed(client: httpx2.AsyncClient, to: Receiver, **document: Any) -> tuple[str, Webhook]:
    """A subscription's path, and what verifies its deliveries."""
    await put(client, BUYERS)
    answer = await client.post(PATH, json={"url": to.url, "segments": ["buyers"], **document})
    assert answer.status_code == 201, answer.text
    return f"{PATH}/{answer.json()['id']}", Webhook(answer.json()["secret"])


def ids(to: Receiver) -> list[str]:
    return [headers["webhook-id"] for headers, _ in to.taken]


async def deliveries(client: httpx2.AsyncClient, path: str, **params: Any) -> list[dict[str, Any]]:
    answer = await client.get(f"{path}/deliveries", params=params)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["deliveries"]
    return found


async def finished(client: httpx2.AsyncClient, begun: httpx2.Response) -> dict[str, Any]:
    assert begun.status_code == 202, begun.text

    async def look() -> dict[str, Any] | None:
        report: dict[str, Any] = (await client.get(begun.headers["location"])).json()
        return report if report["state"] == "finished" else None

    found: dict[str, Any] = await until(look)
    return found


async def test_a_transition_is_delivered_and_logged(client: httpx2.AsyncClient, working: None, to: Receiver) -> None:
    path, verifier = await subscribed(client, to)
    await send(client, event("o-1", "ana"))
    await until(lambda: to.taken)
    [(headers, body)] = to.taken
    told = verifier.verify(body, headers)
    assert (told["type"], told["data"]["customer_id"], headers["webhook-id"]) == (
        "segment.entered",
        "ana",
        "buyers:ana:1",
    )
    [attempt] = await until(lambda: deliveries(client, path))
    assert attempt.keys() == examples.ATTEMPT.keys()
    assert (attempt["outcome"], attempt["id"], attempt["status"], attempt["attempt"]) == (
        "done",
        "buyers:ana:1",
        204,
        1,
    )
    standing = (await client.get(path)).json()["deliveries"]
    assert (standing["done"], standing["failing"], standing["given_up"]) == (1, 0, 0)


async def test_a_failed_delivery_is_shown_and_made_again_under_the_same_id(
    client: httpx2.AsyncClient, working: None, to: Receiver
) -> None:
    path, _ = await subscribed(client, to)
    to.say(500)
    await send(client, event("o-1", "ana"))
    [failing] = await until(lambda: deliveries(client, path, show="failing"))
    assert failing.keys() == examples.PENDING.keys()
    assert (failing["id"], failing["attempts"], failing["status"]) == ("buyers:ana:1", 1, 500)
    await until(lambda: len(to.taken) == 2)  # five seconds later
    assert ids(to) == ["buyers:ana:1"] * 2
    both = await until(lambda: _if_many(deliveries(client, path, item="buyers:ana:1"), 2))
    assert [each["outcome"] for each in both] == ["done", "failed"]
    assert [each["outcome"] for each in await deliveries(client, path, show="failed")] == ["failed"]


async def _if_many(asked: Awaitable[list[Any]], count: int) -> list[Any]:
    found = await asked
    return found if len(found) >= count else []


async def test_who_says_gone_is_disabled(client: httpx2.AsyncClient, working: None, to: Receiver) -> None:
    path, _ = await subscribed(client, to)
    to.say(410)
    await send(client, event("o-1", "ana"))

    async def disabled() -> bool:
        return bool((await client.get(path)).json()["state"] == "disabled")

    await until(disabled)
    [pending] = await until(lambda: deliveries(client, path, show="failing"))
    assert (pending["id"], pending["status"]) == ("buyers:ana:1", 410)


async def test_what_happened_while_paused_comes_after_or_is_left_out(
    client: httpx2.AsyncClient, working: None, to: Receiver, services: Services
) -> None:
    path, _ = await subscribed(client, to)
    other, _ = await subscribed(client, to, kinds=["entered"])
    for each in (path, other):
        await client.post(f"{each}/pause")
    await send(client, event("o-1", "ana"))
    await client.post(f"{path}/resume")
    await client.post(f"{other}/resume", params={"from": "now"})
    await send(client, event("o-2", "bob"))
    await until(lambda: len(to.taken) == 3)
    assert sorted(ids(to)) == ["buyers:ana:1", "buyers:bob:1", "buyers:bob:1"]
    report = await finished(client, await client.post(f"{other}/replay", json={"from": "2020-01-01T00:00:00Z"}))
    assert report["done"] == 2
    assert sorted(ids(to)) == ["buyers:ana:1"] * 2 + ["buyers:bob:1"] * 3


async def test_one_is_resent_and_all_are_replayed(client: httpx2.AsyncClient, working: None, to: Receiver) -> None:
    path, _ = await subscribed(client, to)
    await send(client, event("o-1", "ana"), event("o-2", "a/b"))
    await until(lambda: len(to.taken) == 2)
    await until(lambda: _if_many(deliveries(client, path), 2))
    begun = await client.post(f"{path}/deliveries/buyers:a%2Fb:1/resend")
    assert begun.json().keys() == examples.JOB_BEGUN.keys()
    report = await finished(client, begun)
    assert report.keys() == examples.JOB_REPORT.keys()
    assert (report["kind"], report["done"]) == ("resend", 1)
    assert ids(to)[2:] == ["buyers:a%2Fb:1"]
    await finished(client, await client.post(f"{path}/replay", json={"id": "buyers:ana:1"}))
    assert ids(to)[3:] == ["buyers:ana:1"]
    await finished(client, await client.post(f"{path}/replay", json={"from": "2020-01-01T00:00:00Z"}))
    assert sorted(ids(to)[4:]) == ["buyers:a%2Fb:1", "buyers:ana:1"]
    jobs = (await client.get(f"{path}/jobs")).json()["jobs"]
    assert [job["kind"] for job in jobs] == ["replay", "resend", "resend"]
    stopped = (await client.post(f"{path}/jobs/{jobs[0]['id']}/stop")).json()
    assert stopped["state"] == "finished", "what is over stays so"


async def test_what_waits_for_its_next_attempt_is_sent_at_once_when_a_person_asks(
    client: httpx2.AsyncClient, working: None, to: Receiver
) -> None:
    path, _ = await subscribed(client, to)
    to.say(500)
    to.say(500)
    await send(client, event("o-1", "ana"))
    await until(lambda: len(to.taken) == 2)  # the next would be in five minutes

    async def failed_twice() -> bool:
        found = await deliveries(client, path, show="failing")
        return bool(found) and found[0]["attempts"] == 2

    await until(failed_twice)
    await send(client, event("o-2", "bob"))
    await until(lambda: len(to.taken) == 3)
    standing = (await client.get(path)).json()["deliveries"]
    assert (standing["failing"], standing["waiting"], standing["given_up"]) == (1, 0, 0)
    await finished(client, await client.post(f"{path}/deliveries/buyers:ana:1/resend"))
    assert ids(to) == ["buyers:ana:1"] * 2 + ["buyers:bob:1", "buyers:ana:1"]
    assert await deliveries(client, path, show="failing") == []


async def test_what_a_replay_can_be_asked_for(client: httpx2.AsyncClient, to: Receiver, services: Services) -> None:
    path, _ = await subscribed(client, to)
    position = await services.feed.now()
    right: list[Any] = [{"failed": True}, {"from_number": 1, "partition": 0}, {"after": position}]
    for body in right:
        answer = await client.post(f"{path}/replay", json=body)
        assert answer.status_code == 202, answer.text
    wrong: list[Any] = [
        *({}, [], {"failed": False}, {"failed": True, "id": "x"}, {"from": "yesterday"}, {"from_number": 1}),
        *({"from_number": 0, "partition": 0}, {"from_number": 1, "partition": 9}, {"after": "x"}, {"id": ""}),
    ]
    for body in wrong:
        is_problem(await client.post(f"{path}/replay", json=body), 400, "invalid-parameter")
    is_problem(await client.get(f"{path}/jobs/nobody"), 404, "no-job")
    other, _ = await subscribed(client, to)
    job = (await client.get(f"{path}/jobs")).json()["jobs"][0]["id"]
    is_problem(await client.get(f"{other}/jobs/{job}"), 404, "no-job")
    is_problem(await client.get(f"{path}/deliveries", params={"cursor": "x"}), 400, "invalid-parameter")
