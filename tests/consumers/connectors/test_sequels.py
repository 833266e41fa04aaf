"""What follows a call's first request: further ones for what it found, tokens that are got, and pauses."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from consumers.delivery.port import Done, Failed, Later, Outcome, Refused
from consumers.outbound.client import Answer
from tests.consumers.connectors.playing import NOW_MS, Asked, Played, SteadyClock, connector, keys, subject, told
from tests.consumers.connectors.test_calls import AROUND, BATCH, TOKEN, calls, one, people

# -- what follows from an answer --------------------------------------------------------------------------------------

THEN = """
    get: /open
    then: {for: things, patch: /things, json: [{id: "{{ found.id }}", by: "{{ customer.id }}"}]}"""


async def test_what_the_first_answer_names_is_sent_on_in_batches() -> None:
    things = [{"id": number} for number in range(5)]
    caller = Played(lambda asked: told(200, {"things": things}) if asked.method == "GET" else told(200))
    ana = subject()
    found = connector(calls(THEN, "limits: {batch: 2}"), caller, AROUND)
    assert await found.call("n", {}, [ana], keys([ana])) == [Done("5 done", 200)]
    assert [asked.json for asked in caller.asked[1:]] == [
        [{"id": 0, "by": "ana"}, {"id": 1, "by": "ana"}],
        [{"id": 2, "by": "ana"}, {"id": 3, "by": "ana"}],
        [{"id": 4, "by": "ana"}],
    ]
    assert len({asked.headers["Idempotency-Key"] for asked in caller.asked[1:]}) == 3


@pytest.mark.parametrize("body", [b"", {"things": []}, {"things": None}, {}])
async def test_where_nothing_is_found_there_is_nothing_to_do(body: Any) -> None:
    outcome, asked = await one(THEN, told(200, body))
    assert (outcome, len(asked)) == (Done("there was nothing to do"), 1)


async def test_an_answer_that_must_be_read_and_cannot_is_a_failure() -> None:
    assert (await one(THEN, told(200, b"<html>")))[0] == Failed("HTTP 200, but the answer is no JSON", 200)
    cut = Answer(200, {}, b'{"things": [', True)
    assert (await one(THEN, cut))[0] == Failed("HTTP 200, but the answer is longer than is read", 200)
    caller = Played(lambda _: told(200, b"<html>"))
    subjects = people("aa", "ab")
    found = connector(calls(BATCH), caller, AROUND)
    outcomes = await found.call("n", {"list": 1}, subjects, keys(subjects))
    assert outcomes == [Failed("HTTP 200, but the answer is no JSON", 200)] * 2


async def test_a_second_request_that_fails_is_the_calls_failure() -> None:
    caller = Played(lambda asked: told(200, {"things": [{"id": 1}]}) if asked.method == "GET" else told(502))
    ana = subject()
    found = connector(calls(THEN), caller, AROUND)
    assert await found.call("n", {}, [ana], keys([ana])) == [Failed("HTTP 502", 502)]


# -- tokens that are got ----------------------------------------------------------------------------------------------

OAUTH = """connector: ads
base: https://ads.example
auth:
  oauth:
    url: https://auth.example/token
    form: {grant_type: refresh_token, refresh_token: "{{ secrets.TOKEN }}"}
calls: {n: {post: /n}}"""


class Ads:
    """An API whose tokens are good until `revoked`."""

    def __init__(self) -> None:
        self.made = 0
        self.good = ""

    def __call__(self, asked: Asked) -> Answer:
        if asked.url == "https://auth.example/token":
            assert asked.body == f"grant_type=refresh_token&refresh_token={TOKEN}".encode()
            self.made += 1
            self.good = f"access-token-{self.made}"
            return told(200, {"access_token": self.good, "expires_in": 3600})
        good = asked.headers["Authorization"] == f"Bearer {self.good}"
        return told(200) if good else told(401, f"{asked.headers['Authorization']} is no good".encode())


async def test_a_token_is_got_once_renewed_before_its_end_and_when_it_is_refused() -> None:
    ads, clock = Ads(), SteadyClock()
    found = connector(OAUTH, Played(ads), AROUND, clock)

    async def call() -> Outcome:
        [outcome] = await found.call("n", {}, [subject()], ["k"])
        return outcome

    assert list(await asyncio.gather(call(), call(), call())) == [Done("HTTP 200", 200)] * 3
    assert ads.made == 1
    clock.seconds = 3600 - 30
    assert await call() == Done("HTTP 200", 200)
    assert ads.made == 2
    ads.good = "something else"
    assert await call() == Done("HTTP 200", 200)
    assert ads.made == 3


async def test_without_a_token_nothing_is_called_and_none_is_told() -> None:
    caller = Played(lambda asked: told(400, {"error": "invalid_grant", "token": TOKEN}))
    outcome = await connector(OAUTH, caller, AROUND).call("n", {}, [subject()], ["k"])
    assert outcome == [Failed("no access token: HTTP 400")]
    assert [asked.url for asked in caller.asked] == ["https://auth.example/token"]


async def test_a_got_token_is_masked_as_any_secret() -> None:
    ads = Ads()

    def refusing(asked: Asked) -> Answer:
        answer = ads(asked)
        return told(400, f"not with {asked.headers['Authorization']}".encode()) if "ads." in asked.url else answer

    [outcome] = await connector(OAUTH, Played(refusing), AROUND).call("n", {}, [subject()], ["k"])
    assert outcome == Refused("HTTP 400: not with Bearer ***", 400)


# -- pauses -----------------------------------------------------------------------------------------------------------


async def test_a_long_pause_that_the_other_side_asks_for_is_kept_without_asking_again() -> None:
    clock = SteadyClock()
    caller = Played(lambda _: told(429, b"", {"retry-after": "120"}))
    found = connector(calls("{post: /n}"), caller, AROUND, clock)
    assert await found.call("n", {}, [subject()], ["k"]) == [Failed("HTTP 429", 429, 120.0)]
    assert await found.call("n", {}, [subject()], ["k"]) == [
        Later(NOW_MS + 120_000, "crm takes no more calls just now")
    ]
    assert len(caller.asked) == 1
    clock.seconds = 121
    await found.call("n", {}, [subject()], ["k"])
    assert len(caller.asked) == 2
