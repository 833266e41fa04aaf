"""GET /v1/dead-letters: every letter once, as it came, from the store and from a topic."""

from __future__ import annotations

import asyncio
import base64
import re
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx2
import msgspec
import pytest

from consumers.log.dead_letters import DeadLetter, Origin
from consumers.log.port import NewRecord
from service import examples
from service.dead_letters import PAGE_BYTES_MAX, page_of
from service.settings import Settings
from tests.service.conftest import PARTITIONS, client_of, opened
from tests.service.sending import is_problem


async def test_dead_letters_are_listed_newest_first_with_their_bytes_as_they_came(settings: Settings) -> None:
    async with opened(settings) as services, client_of(services) as client:
        raw = [b"\xff\x00", b'{"a"', b"[]", "{é".encode()]
        await services.log.append([NewRecord(n % PARTITIONS, each) for n, each in enumerate(raw)])
        async with asyncio.timeout(30):
            while (await client.get("/v1/status")).json()["dead_letters"] < len(raw):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        page = (await client.get("/v1/dead-letters?limit=3")).json()
        rest = (await client.get("/v1/dead-letters", params={"limit": 3, "cursor": page["cursor"]})).json()
        letters = page["dead_letters"] + rest["dead_letters"]
        assert (len(page["dead_letters"]), rest["cursor"]) == (3, None)
        assert sorted(base64.b64decode(each["record_base64"]) for each in letters) == sorted(raw)
        assert {each["record"] for each in letters} == {None, '{"a"', "[]", "{é"}
        assert [each["at"] for each in letters] == sorted((each["at"] for each in letters), reverse=True)
        for each in letters:
            assert each["reason"]
            assert re.fullmatch(r"log:[01]:\d+@\d+", each["origin"])
            assert each.keys() == letter_example().keys()


class Box:
    """Letters of two partitions; later pages begin at the newest again, as those of a topic do."""

    def __init__(self, letters: Sequence[DeadLetter]) -> None:
        self.letters, self.ended = list(letters), 0

    async def newest_first(self) -> AsyncIterator[DeadLetter]:
        try:
            for letter in reversed(self.letters):
                yield letter
        finally:
            self.ended += 1

    async def oldest_first(self) -> AsyncIterator[DeadLetter]:
        for letter in self.letters:
            yield letter

    async def taken_back(self, letters: Sequence[DeadLetter]) -> None:
        self.letters = [each for each in self.letters if each not in letters]

    async def close(self) -> None: ...


def letter(partition: int, offset: int, raw: bytes = b"{}") -> DeadLetter:
    return DeadLetter("t", Origin("t", 0, offset, 0), "bad", raw, id=f"{partition}:{offset}", put_ms=offset)


async def test_pages_of_dead_letters_have_each_once_while_some_come_and_some_are_taken_back() -> None:
    box = Box([letter(offset % 2, offset) for offset in range(20)])
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = await page_of(box, 3, cursor)
        seen += [each.id for each in page.letters]
        box.letters.append(letter(0, 100 + len(seen)))
        await box.taken_back([page.letters[-1]])
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == [f"{offset % 2}:{offset}" for offset in reversed(range(20))]
    assert box.ended == 7


async def test_a_page_of_large_dead_letters_ends_early_and_has_one_at_least() -> None:
    large = PAGE_BYTES_MAX // 2 + 1
    box = Box([letter(0, 1, bytes(large)), letter(0, 2, bytes(large)), letter(0, 3, bytes(2 * PAGE_BYTES_MAX))])
    first = await page_of(box, 100, None)
    second = await page_of(box, 100, first.cursor)
    third = await page_of(box, 100, second.cursor)
    assert [[each.id for each in page.letters] for page in (first, second, third)] == [["0:3"], ["0:2"], ["0:1"]]
    assert third.cursor is None


def letter_example() -> dict[str, Any]:
    [letter] = examples.DEAD_LETTERS[200]["content"]["application/json"]["example"]["dead_letters"]
    assert isinstance(letter, dict)
    return letter


@pytest.mark.parametrize("after", [["1", ""], [{0: 1}], [{0: ["1", 0]}], [{0: [1]}], []])
async def test_a_cursor_that_no_list_of_dead_letters_gave_is_400(client: httpx2.AsyncClient, after: list[Any]) -> None:
    cursor = base64.urlsafe_b64encode(msgspec.msgpack.encode(after)).decode().rstrip("=")
    is_problem(await client.get("/v1/dead-letters", params={"cursor": cursor}), 400, "invalid-parameter")
    is_problem(await client.get("/v1/dead-letters?cursor=none"), 400, "invalid-parameter")


async def test_with_kafka_they_are_listed_from_their_topic(settings: Settings, kafka: str) -> None:
    own = uuid.uuid4().hex
    topics = {name: f"{name}-{own}" for name in ("events_topic", "transitions_topic", "dead_letters_topic")}
    on_kafka = settings.model_copy(update={"kafka_bootstrap_servers": kafka, **topics})
    async with opened(on_kafka) as services, client_of(services) as client:
        assert (await client.get("/v1/dead-letters")).json() == {"dead_letters": [], "cursor": None}
        raw = [b"\xff\x00", b"[]", b"{"]
        written = await services.log.append([NewRecord(1, each, "ana") for each in raw])
        found: dict[str, Any] = {"dead_letters": []}
        async with asyncio.timeout(60):
            while len(found["dead_letters"]) < len(raw):
                found = (await client.get("/v1/dead-letters")).json()
        told = {each["origin"]: base64.b64decode(each["record_base64"]) for each in found["dead_letters"]}
        origins = [f"{topics['events_topic']}:1:{each.offset}@{each.timestamp_ms}" for each in written]
        assert told == dict(zip(origins, raw, strict=True))
        page = (await client.get("/v1/dead-letters?limit=2")).json()
        rest = (await client.get("/v1/dead-letters", params={"limit": 2, "cursor": page["cursor"]})).json()
        assert page["dead_letters"] + rest["dead_letters"] == found["dead_letters"]
        status = (await client.get("/v1/status")).json()
        assert status["dead_letters"] is None
        assert {each["dead_letters"] for each in status["partitions"]} == {None}
