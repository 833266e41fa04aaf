"""Gomag, against a server in its own process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from consumers.connectors.http import HttpConnector
from consumers.delivery.port import Done, Failed, Refused
from tests.consumers.connectors.playing import keys, packaged, subject
from tests.consumers.connectors.vendors.gomag import KEY, SHOP
from tests.consumers.connectors.vendors.serving import Remote, vendor

ANA = subject("ana", {"email": "ana@example.com"}, "add")


@pytest.fixture
def gomag() -> Iterator[Remote]:
    with vendor("gomag") as remote:
        yield remote


@pytest.fixture
async def calls(gomag: Remote) -> AsyncIterator[HttpConnector]:
    async with packaged("gomag", around(gomag)) as found:
        yield found


def around(gomag: Remote, key: str = KEY) -> dict[str, str]:
    return {
        "SEGMENTD_SECRET_GOMAG_API_KEY": key,
        "SEGMENTD_CONNECTOR_GOMAG_SHOP": SHOP,
        "SEGMENTD_CONNECTOR_GOMAG_BASE": f"{gomag.base}/api/v1",
    }


async def until_done(calls: HttpConnector, call: str, with_: dict[str, object], *subjects: object) -> None:
    """The shop takes one write a second: what it puts off is tried again."""
    for each in subjects:
        for _ in range(60):
            [outcome] = await calls.call(call, with_, [each], ["k"])  # type: ignore[list-item]
            if outcome == Done("HTTP 200", 200):
                break
            assert isinstance(outcome, Failed)
            assert outcome.status == 429
        else:
            raise AssertionError("the shop never took it")


async def test_who_enters_is_in_one_group_and_who_leaves_in_another(gomag: Remote, calls: HttpConnector) -> None:
    with_: dict[str, object] = {"group": 7, "otherwise": 3}
    ion = subject("ion", {"email": "ion@example.com"}, "remove")
    assert not calls.check("group", with_, "actions[0]", both_ways=True)
    await until_done(calls, "group", with_, ANA, ion)
    assert {email: each["group"] for email, each in gomag.state().items()} == {
        "ana@example.com": 7,
        "ion@example.com": 3,
    }


async def test_tags_are_set(gomag: Remote, calls: HttpConnector) -> None:
    await until_done(calls, "tags", {"tags": ["vip", "{{ segment.id }}"]}, ANA)
    assert gomag.state()["ana@example.com"]["tags"] == ["vip", "vip"]


async def test_an_error_that_comes_with_status_200_is_one(calls: HttpConnector) -> None:
    stranger = subject("eva", {"email": "eva@example.com"})
    assert await calls.call("group", {"group": 7}, [stranger], keys([stranger])) == [
        Refused("HTTP 200: The customer does not exist", 200)
    ]


async def test_a_wrong_key_can_be_mended(gomag: Remote) -> None:
    async with packaged("gomag", around(gomag, "another-key")) as calls:
        [outcome] = await calls.call("group", {"group": 7}, [ANA], keys([ANA]))
    assert outcome == Failed("the credentials are not accepted: HTTP 401: Unauthorized", 401)


def test_a_group_for_those_who_leave_is_needed_only_where_they_are_followed(calls: HttpConnector) -> None:
    assert calls.check("group", {"group": 7}, "actions[0]") == []
    [mistake] = calls.check("group", {"group": 7}, "actions[0]", both_ways=True)
    assert mistake.at == "actions[0].with.otherwise"
