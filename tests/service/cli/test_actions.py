"""Actions on the command line: files applied and compared, one call tried, and deliveries in a process of their own."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from consumers.embedded import Embedded
from tests.service.cli.conftest import START_S, Run, running

Write = Callable[[str, str], Path]
DOCUMENT = """\
id: tagged-{name}
enter: {{event: purchase, where: {{shop: {name}}}}}
actions:
  - {{id: tag, on: entered, use: profile.tag, with: {{tags: "{tag}"}}}}
"""


def document(name: str, tag: str = "bought") -> str:
    return DOCUMENT.format(name=name, tag=tag)


def tags_of(server: str, customer: str, expected: list[str]) -> None:
    """Until the customer has these tags."""
    _until(lambda: httpx2.get(f"{server}/v1/customers/{customer}").json().get("tags") == expected)


def _until(holds: Callable[[], bool]) -> None:
    """Wait for what other processes do."""
    deadline = time.monotonic() + START_S
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def _kinds(server: str, segment: str) -> list[str]:
    """What the segment's feed has."""
    return sorted(each["kind"] for each in httpx2.get(f"{server}/v1/segments/{segment}/feed").json()["entries"])


def buy(server: str, customer: str, shop: str) -> None:
    event = {"id": f"p-{shop}", "type": "purchase", "customer_id": customer, "properties": {"shop": shop}}
    assert httpx2.post(f"{server}/v1/events", json=event, headers={"Prefer": "wait=10"}).status_code == 202


def test_an_edit_of_actions_is_told_and_applied_and_makes_no_new_version(run: Run, server: str, write: Write) -> None:
    path = write("edited.yaml", document("edited"))
    assert "added tagged-edited" in run("segments", "apply", path, "--server", server).out
    write("edited.yaml", document("edited", "new"))
    told = run("segments", "diff", path, "--server", server).out
    assert "~ tagged-edited: only its actions differ (tag)" in told
    for tag in ("new", "newer"):
        write("edited.yaml", document("edited", tag))
        assert run("segments", "apply", path, "--server", server).status == 0
    found = httpx2.get(f"{server}/v1/segments/tagged-edited").json()
    assert (found["version"], found["revision"]) == (1, 2)
    assert found["document"]["actions"][0]["with"]["tags"] == "newer"


def test_an_action_is_shown_for_a_customer_and_sent_only_when_asked(run: Run, server: str, write: Write) -> None:
    path = write(
        "tried.yaml", document("tried", "{{{{ customer.id }}}}-new").replace("{{{{", "{{").replace("}}}}", "}}")
    )
    asked = ("actions", "try", "tagged-tried/tag", "--customer", "eva", "--server", server, "--segments", path)
    shown = run(*asked)
    assert shown.status == 0, shown.err
    assert "LOG profile" in shown.out
    assert "eva-new" in shown.out
    assert "nothing was sent" in shown.out
    assert httpx2.get(f"{server}/v1/customers/eva").status_code == 404
    sent = run(*asked, "--send")
    assert sent.status == 0, sent.err
    assert "sent: profile act-" in sent.out
    tags_of(server, "eva", ["eva-new"])


@pytest.mark.parametrize(
    ("action", "text", "status", "told"),
    [
        ("tag", "", 2, "write the segment and the action"),
        ("nobody/tag", "", 1, "404 There is no segment 'nobody'"),
        ("nobody/tag", document("wrong"), 2, "no file has the segment nobody"),
        ("tagged-wrong/other", document("wrong"), 1, "404 The document has no action 'other'"),
        ("tagged-wrong/tag", document("wrong", "{{{{ customer.town }}}}"), 1, "town"),
        (
            "tagged-wrong/tag",
            document("wrong").replace("profile.tag", "crm.task"),
            1,
            "actions[0].use: no such connector",
        ),
    ],
)
def test_what_cannot_be_tried_is_told(
    run: Run, server: str, write: Write, action: str, text: str, status: int, told: str
) -> None:
    files = ("--segments", write("wrong.yaml", text.replace("{{{{", "{{").replace("}}}}", "}}"))) if text else ()
    ran = run("actions", "try", action, "--customer", "ana", "--server", server, *files)
    assert ran.status == status
    assert told in ran.err


def test_up_makes_the_calls_itself(run: Run, server: str, write: Write) -> None:
    assert run("segments", "apply", write("up.yaml", document("up")), "--server", server).status == 0
    buy(server, "ana", "up")
    tags_of(server, "ana", ["bought"])


def test_with_the_log_on_kafka_actions_are_the_same(kafka: str, tmp_path: Path, run: Run, write: Write) -> None:
    """Entering sets a tag, by which another segment is entered; and each return of a member is noted."""
    rule = """\
id: tagged-kafka
enter: {event: purchase, where: {shop: kafka}}
actions:
  - {id: tag, on: entered, use: profile.tag, with: {tags: bought}, unless: {tag: staff}}
  - {id: note, on: {event: order_returned}, use: profile.tag, with: {tags: "{{ event.properties.why }}"}}
"""
    name = uuid.uuid4().hex[:12]
    topics = {f"SEGMENTD_{each.upper()}_TOPIC": f"{each}-{name}" for each in ("events", "transitions", "dead_letters")}
    with Embedded(tmp_path / "store") as store:
        env = {"REDIS_URL": store.url, "KAFKA_BOOTSTRAP_SERVERS": kafka, "SEGMENTD_PARTITIONS": "2", **topics}
        with (
            running("api", "--port", 0, env=env) as api,
            running("evaluator", env=env),
            running("actions", env=env),
            running("actions", env=env),
        ):
            url = api.wait_for(r"api at (http://\S+)")
            applied = run("segments", "apply", write("kafka.yaml", rule), "--server", url)
            assert applied.status == 0, applied.err
            buy(url, "ana", "kafka")
            tags_of(url, "ana", ["bought"])
            back = {"id": "r", "type": "order_returned", "customer_id": "ana", "properties": {"why": "too small"}}
            assert httpx2.post(f"{url}/v1/events", json=back).status_code == 202
            tags_of(url, "ana", ["bought", "too small"])
            _until(lambda: _kinds(url, "tagged-kafka") == ["called", "called", "edited", "entered"])


def test_deliveries_run_in_a_process_of_their_own(tmp_path: Path, run: Run, write: Write) -> None:
    with Embedded(tmp_path / "store") as store:
        env = {"REDIS_URL": store.url}
        with (
            running("evaluator", env=env),
            running("api", "--port", 0, env=env) as api,
            running("actions", env=env) as actions,
        ):
            url = api.wait_for(r"api at (http://\S+)")
            own = actions.wait_for(r"actions runs; .* at (http://\S+)")
            assert run("segments", "apply", write("own.yaml", document("own")), "--server", url).status == 0
            buy(url, "ana", "own")
            tags_of(url, "ana", ["bought"])
            done = 'segmentd_deliveries_total{kind="action",outcome="done"} 1.0'
            _until(lambda: done in httpx2.get(f"{own}/metrics").text)
            assert httpx2.get(f"{own}/readyz").status_code == 200
            assert httpx2.get(f"{own}/v1/segments").status_code == 404
            assert actions.end() == 0
