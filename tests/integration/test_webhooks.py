"""`segmentd up`, a receiver, and whoever sends events, each a process of its own: what a webhook's receiver sees."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from consumers.embedded import Embedded
from tests.service.cli.conftest import Process, running
from tests.service.sending import BUYERS, event

ALLOWED = {
    "SEGMENTD_OUTBOUND_ALLOW": "127.0.0.0/8",
    "SEGMENTD_WEBHOOK_KEY": "a key of tests that is long enough for it",
}
DEADLINE_S = 120.0
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def receiving() -> Iterator[str]:
    """The address of a receiver."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.webhook_receiver"], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the service."""
    with started(tmp_path_factory.mktemp("data")) as process:
        yield process.wait_for(r"is up at (http://\S+)")
        assert process.end() == 0


def started(data: Path) -> Any:
    return running("up", "--port", 0, "--data-dir", data, env=ALLOWED)


class Subscriber:
    """One subscription, its receiver, and the events that set it off."""

    def __init__(self, service: str, receiving: str, name: str, **document: Any) -> None:
        self.client = httpx2.Client(base_url=service, timeout=60)
        self.hook = f"{receiving}/hook/{name}"
        self.name = name
        segment = BUYERS | {"id": name, "enter": {"event": f"bought_{name}"}}  # what others buy is nothing to it
        self.client.put(f"/v1/segments/{name}", json=segment, headers={"Prefer": "wait=10"}).raise_for_status()
        answer = self.client.post("/v1/subscriptions", json={"url": self.hook, "segments": [name], **document})
        made = answer.raise_for_status().json()
        self.path = f"/v1/subscriptions/{made['id']}"
        self.secret: str = made["secret"]

    def buy(self, *customers: str) -> None:
        events = [event(f"{self.name}-{customer}", customer, f"bought_{self.name}") for customer in customers]
        self.client.post("/v1/events", json=events, headers={"Prefer": "wait=10"}).raise_for_status()

    def answers(self, *statuses: int) -> None:
        httpx2.put(self.hook, json=statuses).raise_for_status()

    def taken(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = httpx2.get(self.hook).raise_for_status().json()
        return found

    def ids(self) -> list[str]:
        return [each["headers"]["webhook-id"] for each in self.taken()]

    def state(self) -> str:
        return str(self.client.get(self.path).raise_for_status().json()["state"])

    def post(self, rest: str, **more: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.client.post(f"{self.path}{rest}", **more).raise_for_status().json()
        return found

    def verified_by(self, secret: str, nth: int = -1) -> bool:
        delivery = self.taken()[nth]
        try:
            Webhook(secret).verify(delivery["body"], delivery["headers"])
        except WebhookVerificationError:
            return False
        return True


@pytest.fixture
def subscribe(up: str, receiving: str) -> Iterator[Callable[..., Subscriber]]:
    made: list[Subscriber] = []

    def subscriber(name: str, **document: Any) -> Subscriber:
        made.append(Subscriber(up, receiving, name, **document))
        return made[-1]

    yield subscriber
    for each in made:
        each.client.close()


Subscribe = Callable[..., Subscriber]


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, "waited for nothing"
        time.sleep(0.05)


def test_an_event_becomes_a_webhook_that_the_standards_library_verifies(subscribe: Subscribe) -> None:
    sub = subscribe("first")
    sub.buy("ana")
    until(lambda: sub.ids() == ["first:ana:1"])
    [delivery] = sub.taken()
    told = Webhook(sub.secret).verify(delivery["body"], delivery["headers"])
    assert (told["type"], told["id"], told["data"]["cause"]) == ("segment.entered", "first:ana:1", "event")
    assert not sub.verified_by("whsec_" + "A" * 43 + "=")


def test_what_failed_comes_again_under_the_same_id_and_holds_up_nobody_else(subscribe: Subscribe) -> None:
    sub = subscribe("failing")
    sub.answers(500)
    sub.buy("ana")
    until(lambda: len(sub.ids()) == 1)
    sub.buy("bob")
    until(lambda: sorted(sub.ids()) == ["failing:ana:1", "failing:ana:1", "failing:bob:1"])
    (
        first,
        *_,
    ) = (each for each in sub.taken() if each["headers"]["webhook-id"] == "failing:ana:1")
    assert first["status"] == 500
    assert sub.verified_by(sub.secret)


def test_410_disables(subscribe: Subscribe) -> None:
    sub = subscribe("gone")
    told = subscribe("told", kinds=["subscription.disabled"])
    sub.answers(410)
    sub.buy("ana")
    until(lambda: sub.state() == "disabled")
    sub.buy("bob")
    until(lambda: len(told.ids()) == 1)
    [notice] = told.taken()
    event = Webhook(told.secret).verify(notice["body"], notice["headers"])
    assert (event["type"], f"/v1/subscriptions/{event['subject']}") == ("segmentd.subscription.disabled", sub.path)
    assert sub.ids() == ["gone:ana:1"], "nobody was asked again"


def test_what_happens_while_paused_comes_after(subscribe: Subscribe) -> None:
    sub = subscribe("paused")
    sub.post("/pause")
    sub.buy("ana", "bob")
    other = subscribe("beside")
    other.buy("ana")
    until(lambda: other.ids() == ["beside:ana:1"])
    assert sub.ids() == []
    sub.post("/resume")
    until(lambda: sorted(sub.ids()) == ["paused:ana:1", "paused:bob:1"])


def test_while_secrets_overlap_both_verify(subscribe: Subscribe) -> None:
    sub = subscribe("rotated")
    new = sub.post("/secret")["secret"]
    tried = sub.post("/test")
    assert tried["delivered"], tried
    assert sub.verified_by(sub.secret)
    assert sub.verified_by(new)
    newest = sub.post("/secret", json={"overlap_hours": 0})["secret"]
    sub.post("/test")
    assert [sub.verified_by(secret) for secret in (newest, new, sub.secret)] == [True, False, False]


def test_a_replay_brings_everything_again_under_the_same_ids(subscribe: Subscribe) -> None:
    sub = subscribe("again")
    sub.buy("ana", "bob", "eve")
    until(lambda: len(sub.ids()) == 3)
    begun = sub.post("/replay", json={"from": "2020-01-01T00:00:00Z"})
    until(lambda: sub.client.get(f"{sub.path}/jobs/{begun['id']}").json()["state"] == "finished")
    assert sorted(sub.ids()) == sorted(["again:ana:1", "again:bob:1", "again:eve:1"] * 2)


def test_what_was_not_delivered_when_the_service_was_killed_is_delivered_after(tmp_path: Path, receiving: str) -> None:
    def begin() -> tuple[Process, str]:
        return (process := Process("up", "--port", 0, "--data-dir", tmp_path, env=ALLOWED)), process.wait_for(
            r"is up at (http://\S+)"
        )

    process, address = begin()
    try:
        sub = Subscriber(address, receiving, "killed")
        sub.answers(*[500] * 3)
        sub.buy(*(f"c{number}" for number in range(20)))
        process.end(signal.SIGKILL)
        sub.client.close()
        process, address = begin()
        until(lambda: {f"killed:c{number}:1" for number in range(20)} <= _taken(sub))
        assert sub.verified_by(sub.secret), "the secret was kept"
    finally:
        process.end(signal.SIGKILL)


def test_as_roles_of_their_own_one_that_is_killed_is_taken_over_by_another(tmp_path: Path, receiving: str) -> None:
    with Embedded(tmp_path) as store, contextlib.ExitStack() as stack:
        env = {**ALLOWED, "REDIS_URL": store.url}
        api, _, first, _ = (
            stack.enter_context(running(role, "--port", 0, env=env))
            for role in ("api", "evaluator", "actions", "actions")
        )
        sub = Subscriber(api.wait_for(r"segmentd api at (http://\S+)"), receiving, "roles")
        customers = [f"c{number}" for number in range(40)]
        sub.buy(*customers[:20])
        until(lambda: {f"roles:{customer}:1" for customer in customers[:20]} <= _taken(sub))
        first.end(signal.SIGKILL)
        sub.buy(*customers[20:])
        until(lambda: {f"roles:{customer}:1" for customer in customers} <= _taken(sub))
        sub.client.close()


def _taken(sub: Subscriber) -> set[str]:
    """The ids that were answered by 204."""
    return {each["headers"]["webhook-id"] for each in sub.taken() if each["status"] == 204}
