"""Kommo, against a server in its own process that takes what the documentation says and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from consumers.connectors.http import HttpConnector
from consumers.delivery.port import Done, Failed, Later, Refused
from tests.consumers.connectors.playing import keys, packaged, subject
from tests.consumers.connectors.vendors.kommo import TOKEN
from tests.consumers.connectors.vendors.serving import Remote, vendor


@pytest.fixture
def kommo() -> Iterator[Remote]:
    with vendor("kommo") as remote:
        yield remote


@pytest.fixture
async def calls(kommo: Remote) -> AsyncIterator[HttpConnector]:
    async with packaged("kommo", around(kommo)) as found:
        yield found


def around(kommo: Remote, token: str = TOKEN) -> dict[str, str]:
    return {"SEGMENTD_SECRET_KOMMO_TOKEN": token, "SEGMENTD_CONNECTOR_KOMMO_BASE": f"{kommo.base}/api/v4"}


ANA = subject("ana", {"name": "Ana Pop", "kommo_id": 7, "owner": 12})
ION = subject("ion", {"name": "Ion", "kommo_id": "8", "owner": 11})


async def test_a_task_is_added_for_each_customer_in_one_request(kommo: Remote, calls: HttpConnector) -> None:
    with_ = {"text": "Call {{ customer.name }}", "user": "{{ customer.owner }}", "due_in": 3600}
    outcomes = await calls.call("task", with_, [ANA, ION], keys([ANA, ION]))
    assert outcomes == [Done("HTTP 200", 200), Done("HTTP 200", 200)]
    assert [request["status"] for request in kommo.seen()] == [200]
    first, second = kommo.state()["tasks"]
    assert (first["text"], first["entity_id"], first["entity_type"]) == ("Call Ana Pop", 7, "contacts")
    assert (second["text"], second["entity_id"], second["responsible_user_id"]) == ("Call Ion", 8, 11)
    assert first["complete_till"] == second["complete_till"] > 1_700_000_000


async def test_what_kommo_refuses_of_a_batch_is_refused_and_the_rest_is_taken(
    kommo: Remote, calls: HttpConnector
) -> None:
    stranger = subject("eva", {"name": "Eva", "kommo_id": 99_999})
    nobodys = subject("dan", {"name": "Dan"})
    subjects = [ANA, stranger, ION, nobodys]
    outcomes = await calls.call("task", {"text": "Call {{ customer.name }}"}, subjects, keys(subjects))
    assert outcomes == [
        Done("HTTP 200", 200),
        Refused("entity_id: Entity not found."),
        Done("HTTP 200", 200),
        Refused("`customer.kommo_id` is undefined"),
    ]
    assert [task["entity_id"] for task in kommo.state()["tasks"]] == [7, 8]
    assert [request["status"] for request in kommo.seen()] == [400, 200]


async def test_open_tasks_of_the_contact_are_completed_and_no_others(kommo: Remote, calls: HttpConnector) -> None:
    for text, customer in (("one", ANA), ("two", ANA), ("three", ION)):
        await calls.call("task", {"text": text}, [customer], keys([customer]))
    [outcome] = await calls.call("complete_tasks", {"result": "bought"}, [ANA], keys([ANA]))
    assert outcome == Done("2 done", 200)
    done = {task["text"]: (task["is_completed"], task.get("result")) for task in kommo.state()["tasks"]}
    assert done == {"one": (True, {"text": "bought"}), "two": (True, {"text": "bought"}), "three": (False, None)}
    [again] = await calls.call("complete_tasks", {"result": "bought"}, [ANA], keys([ANA]))
    assert again == Done("there was nothing to do")


async def test_leads_are_created_and_given_to_another_user(kommo: Remote, calls: HttpConnector) -> None:
    with_ = {"name": "{{ customer.name }} came back", "price": "120", "pipeline": 50, "status": 501, "user": 11}
    assert await calls.call("lead", with_, [ANA, ION], keys([ANA, ION])) == [Done("HTTP 200", 200)] * 2
    [outcome] = await calls.call("lead_user", {"user": "12"}, [ANA], keys([ANA]))
    assert outcome == Done("1 done", 200)
    anas, ions = kommo.state()["leads"]
    assert (anas["name"], anas["price"], anas["contacts"]) == ("Ana Pop came back", 120, [7])
    assert (anas["responsible_user_id"], ions["responsible_user_id"]) == (12, 11)


async def test_user_field_and_note_of_the_contact(kommo: Remote, calls: HttpConnector) -> None:
    for call, with_ in (
        ("user", {"user": 12}),
        ("field", {"field": 701, "value": "{{ customer.owner }}"}),
        ("note", {"text": "{{ segment.name }}: {{ item.cause }}"}),
    ):
        assert await calls.call(call, with_, [ANA], keys([ANA])) == [Done("HTTP 200", 200)], call
    state = kommo.state()
    assert state["contacts"]["7"]["responsible_user_id"] == 12
    assert state["contacts"]["7"]["custom_fields_values"] == [{"field_id": 701, "values": [{"value": 12}]}]
    assert state["notes"] == [{"entity_id": 7, "note_type": "common", "params": {"text": "VIPs: event"}}]


async def test_a_value_of_the_wrong_type_is_told_in_kommos_words(calls: HttpConnector) -> None:
    [outcome] = await calls.call("field", {"field": 701, "value": "twelve"}, [ANA], keys([ANA]))
    assert outcome == Refused("custom_fields_values: The value does not fit the type of the field.")


async def test_a_tag_comes_with_the_member_and_goes_with_it(kommo: Remote, calls: HttpConnector) -> None:
    coming = [subject("ana", {"kommo_id": 7}, "add"), subject("ion", {"kommo_id": 8}, "add")]
    going = subject("ana", {"kommo_id": 7}, "remove")
    assert not calls.check("tag", {"tag": "vip"}, "actions[0]", both_ways=True)
    assert await calls.call("tag", {"tag": "vip"}, coming, keys(coming)) == [Done("HTTP 200", 200)] * 2
    await calls.call("tag", {"tag": "{{ segment.id }}"}, [going], keys([going]))
    assert {number: contact["tags"] for number, contact in kommo.state()["contacts"].items()} == {"8": ["vip"]}
    [untagged] = await calls.call("untag", {"tag": "vip"}, [ION], keys([ION]))
    assert untagged == Done("HTTP 200", 200)
    assert kommo.state()["contacts"] == {}


async def test_both_directions_in_one_batch_go_in_two_requests(kommo: Remote, calls: HttpConnector) -> None:
    subjects = [subject("ana", {"kommo_id": 7}, "add"), subject("ion", {"kommo_id": 8}, "remove")]
    assert await calls.call("tag", {"tag": "vip"}, subjects, keys(subjects)) == [Done("HTTP 200", 200)] * 2
    bodies = sorted(request["body"] for request in kommo.seen())
    assert bodies == [
        '[{"id":7,"tags_to_add":[{"name":"vip"}]}]',
        '[{"id":8,"tags_to_delete":[{"name":"vip"}]}]',
    ]


async def test_a_wrong_token_can_be_mended_and_is_never_told(kommo: Remote) -> None:
    async with packaged("kommo", around(kommo, "an-old-token-of-ours")) as calls:
        [outcome] = await calls.call("task", {"text": "x"}, [ANA], keys([ANA]))
    assert isinstance(outcome, Failed)
    assert outcome.status == 401
    assert "credentials are not accepted" in outcome.error
    assert "Wrong token: Bearer ***" in outcome.error


async def test_without_a_token_nothing_is_sent_and_it_is_said_which_is_missing(kommo: Remote) -> None:
    async with packaged("kommo", {"SEGMENTD_CONNECTOR_KOMMO_BASE": kommo.base}) as calls:
        [outcome] = await calls.call("task", {"text": "x"}, [ANA], keys([ANA]))
    assert outcome == Failed("the secret `KOMMO_TOKEN` is not set")
    assert kommo.seen() == []


async def test_an_account_that_is_not_paid_is_tried_again(kommo: Remote, calls: HttpConnector) -> None:
    kommo.knobs(unpaid=True)
    [outcome] = await calls.call("task", {"text": "x"}, [ANA], keys([ANA]))
    assert outcome == Failed("HTTP 402: Account is not paid", 402)


async def test_too_many_requests_pause_the_connector_and_lose_nothing(kommo: Remote) -> None:
    """Without a pace of our own the server's bound is hit, and everybody comes through in the end."""
    kommo.script((429, {"title": "Too Many Requests", "status": 429, "detail": "Slower"}, {"Retry-After": "1"}))
    async with packaged("kommo", around(kommo)) as calls:
        calls._pace._apart_s = 0.0
        subjects = [subject(f"c{number}", {"kommo_id": number}) for number in range(1, 25)]
        left = list(subjects)
        for _ in range(60):
            outcomes = [await calls.call("complete_tasks", {}, [each], keys([each])) for each in left]
            assert all(isinstance(outcome, Done | Failed | Later) for [outcome] in outcomes), outcomes
            left = [each for each, [outcome] in zip(left, outcomes, strict=True) if not isinstance(outcome, Done)]
            if not left:
                break
    assert left == []
    assert {request["status"] for request in kommo.seen()} == {204, 429}


async def test_what_would_be_sent_is_shown_without_the_token(calls: HttpConnector) -> None:
    [shown] = calls.render("task", {"text": "Call {{ customer.name }}"}, [ANA, ION], keys([ANA, ION]))
    assert (shown.method, shown.url.rpartition(":")[2].partition("/")[2]) == ("POST", "api/v4/tasks")
    assert shown.headers["Authorization"] == "Bearer ***"
    assert "Call Ana Pop" in shown.body
    assert list(shown.customers) == ["ana", "ion"]
    assert TOKEN not in repr(shown)
