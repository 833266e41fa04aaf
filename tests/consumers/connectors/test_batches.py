"""What a document can say of batches and errors: who is named, what comes again, who is left out."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from consumers.connectors.http import SPLIT_REQUESTS_MAX, WORDS_AT_A_TIME
from consumers.connectors.parse import ConnectorInvalid, read_connector
from consumers.delivery.port import Done, Dropped, Failed, Later, Outcome, Refused
from consumers.outbound.client import Answer
from tests.consumers.connectors.playing import Asked, Played, SteadyClock, connector, keys, subject, told


def document(answer: str = "{}", needs: str = "{}", each: str = '{email: "{{ customer.email }}"}') -> str:
    return f"""
        connector: crm
        base: https://crm.example
        answer: {answer}
        calls:
          n: {{post: /n, batch: 10000, json: {{members: "{{{{ each }}}}"}}, each: {each}, needs: {needs}}}
    """


async def sent(text: str, caller: Played, count: int = 4, clock: SteadyClock | None = None) -> list[Outcome]:
    subjects = [subject(f"c{n}", {"email": f"c{n}@a.example"}) for n in range(count)]
    return list(await connector(text, caller, clock=clock).call("n", {}, subjects, keys(subjects)))


def refusing(*bad: str, status: int = 400, named: bool = False) -> Played:
    """A caller that takes a batch only without `bad` addresses."""

    def answer(asked: Asked) -> Answer:
        addresses = [each["email"] for each in asked.json["members"]]
        places = [n for n, each in enumerate(addresses) if each in bad]
        if not places:
            return told(200)
        said = [{"field": f"body.members[{n}].email", "description": "bad"} for n in places]
        return told(status, {"error": {"code": 100, "message": "refused", "violations": said if named else []}})

    return Played(answer)


async def test_a_path_names_the_number_of_those_who_are_to_blame_and_the_rest_goes_without_them() -> None:
    rules = "{error: error.message, failed: {in: 'error.violations', place: field, error: description}}"
    caller = refusing("c1@a.example", "c3@a.example", named=True)
    outcomes = await sent(document(rules), caller)
    assert outcomes[1] == outcomes[3] == Refused("bad")
    assert outcomes[0] == outcomes[2] == Done("HTTP 200", 200)
    assert len(caller.asked) == 2


async def test_who_is_not_named_is_found_by_halves() -> None:
    caller = refusing("c1@a.example")
    outcomes = await sent(document("{error: error.message}"), caller, count=64)
    assert outcomes[1] == Refused("HTTP 400: refused", 400)
    assert all(isinstance(each, Done) for n, each in enumerate(outcomes) if n != 1)
    assert len(caller.asked) == 13


async def test_halves_come_to_an_end_and_who_is_left_comes_again() -> None:
    caller = refusing(*(f"c{n}@a.example" for n in range(1000)))
    outcomes = await sent(document("{error: error.message}"), caller, count=1000)
    assert len(caller.asked) == SPLIT_REQUESTS_MAX
    assert all(isinstance(each, Failed | Refused) for each in outcomes)
    assert Failed("the batch was refused, and not said because of whom") in outcomes


@pytest.mark.parametrize(
    ("rules", "status"), [("{}", 404), ("{}", 405), ("{}", 410), ("{split: false}", 400), ("{split: false}", 422)]
)
async def test_a_batch_that_is_nobodys_fault_is_sent_once(rules: str, status: int) -> None:
    caller = refusing("c1@a.example", status=status)
    outcomes = await sent(document(rules), caller)
    assert all(isinstance(each, Refused) for each in outcomes)
    assert len(caller.asked) == 1


@pytest.mark.parametrize("status", [200, 400, 403])
async def test_a_code_says_what_comes_again_and_for_how_long_nothing_is_asked(status: int) -> None:
    rules = "{ok: '!error', error: error.message, code: error.code, again: ['17'], wait: 300}"
    caller = Played(lambda _: told(status, {"error": {"code": 17, "message": "User request limit reached"}}))
    clock = SteadyClock()
    found = connector(document(rules), caller, clock=clock)
    one = [subject("a", {"email": "a@a.example"})]
    [first] = await found.call("n", {}, one, keys(one))
    [second] = await found.call("n", {}, one, keys(one))
    assert first == Failed(f"HTTP {status}: User request limit reached", status, 300.0)
    assert isinstance(second, Later)
    assert second.at_ms == clock.now_ms() + 300_000
    assert len(caller.asked) == 1


async def test_how_many_were_not_taken_is_told_where_it_is_not_said_who() -> None:
    caller = Played(lambda _: told(200, {"received": 4, "invalid": 2}))
    outcomes = await sent(document("{failed: {count: invalid}}"), caller)
    assert outcomes == [Done("HTTP 200; 2 not taken, and not said which", 200)] * 4


@pytest.mark.parametrize(
    ("attributes", "sends"),
    [
        ({"email": "a@a.example", "phone": "+40721000000"}, [{"email": "a@a.example"}, {"phone": "40721000000"}]),
        ({"email": "a@a.example"}, [{"email": "a@a.example"}]),
        ({"email": "nobody", "phone": "+40721000000"}, [{"phone": "40721000000"}]),
        ({"email": "", "phone": None}, None),
        ({}, None),
    ],
)
async def test_a_customer_is_sent_with_what_there_is_and_left_out_with_nothing(
    attributes: dict[str, Any], sends: list[dict[str, str]] | None
) -> None:
    needs = '{e-mail address: "{{ customer.email | email }}", phone number: "{{ customer.phone | phone }}"}'
    phone = "{{ customer.phone | phone | default: omit }}"
    each = f'{{ids: [{{email: "{{{{ customer.email | email | default: omit }}}}"}}, {{phone: "{phone}"}}]}}'
    caller = Played()
    found = connector(document(needs=needs, each=each), caller)
    one = [subject("a", attributes)]
    [outcome] = await found.call("n", {}, one, keys(one))
    if sends is None:
        assert outcome == Dropped("the customer has no e-mail address or phone number")
        assert caller.asked == []
    else:
        assert [asked.json for asked in caller.asked] == [{"members": [{"ids": sends}]}]


async def test_a_large_batch_lets_others_have_their_turn() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    await sent(document(), Played(), count=2000)
    beside.cancel()
    assert turns >= 2000 // WORDS_AT_A_TIME


@pytest.mark.parametrize(
    ("answer", "at"),
    [
        ("{wait: 5m}", "answer.wait"),
        ("{wait: 0}", "answer.wait"),
        ("{split: 1}", "answer.split"),
        ("{code: '['}", "answer.code"),
        ("{failed: {place: x}}", "answer.failed.in"),
    ],
)
def test_what_is_wrong_with_it_is_located(answer: str, at: str) -> None:
    with pytest.raises(ConnectorInvalid) as raised:
        read_connector(document(answer))
    assert [each.at for each in raised.value.mistakes] == [at]


def test_what_is_needed_is_checked_like_any_template() -> None:
    with pytest.raises(ConnectorInvalid) as raised:
        read_connector(document(needs='{address: "{{ customer.email | emial }}"}'))
    assert [each.at for each in raised.value.mistakes] == ["calls.n.needs.address"]
