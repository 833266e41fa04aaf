"""Members from CSV files: all through the log, bad rows located, and the same file counted once."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import orjson
import pytest

from consumers.log.port import NewRecord
from consumers.state.imports import IMPORTS_KEPT_MAX, SILENT_MS, Import, Imports
from rules.errors import Unavailable
from service import imports
from service.auth import parse_tokens
from service.settings import Settings
from service.wiring import Services
from tests.service.conftest import client_of, opened
from tests.service.sending import BUYERS, WAIT, event, is_problem, members, put, send

PATH = "/v1/segments/staff/members"
STAFF: dict[str, Any] = {"id": "staff", "name": "Staff", "list": True}
CSV = {"Content-Type": "text/csv"}
LATER = "2099-01-01T00:00:00Z"


@pytest.fixture
async def staff(client: httpx2.AsyncClient) -> httpx2.AsyncClient:
    await put(client, STAFF)
    return client


async def upload(client: httpx2.AsyncClient, text: str | bytes, query: str = "", **headers: str) -> dict[str, Any]:
    """Sends a file, waits until it was applied, and answers what was said."""
    content = text.encode() if isinstance(text, str) else text
    answer = await client.post(PATH + query, content=content, headers=CSV | WAIT | headers)
    assert answer.status_code in (200, 202), answer.text
    found: dict[str, Any] = answer.json()
    assert found.get("applied", True) is True
    return found


async def test_a_file_adds_and_removes_and_says_so(staff: httpx2.AsyncClient) -> None:
    told = await upload(staff, "customer_id\nana\nbea\ncid\n")
    assert (told["rows"], told["accepted"], told["rejected"], told["errors"]) == (3, 3, 0, [])
    assert sorted(await members(staff, "staff")) == ["ana", "bea", "cid"]
    await upload(staff, "customer_id,action,until\nana,remove,\nbea,Clear,\ndan,,\ncid,add," + LATER)
    assert sorted(await members(staff, "staff")) == ["cid", "dan"]
    found = (await staff.get("/v1/customers/cid/segments/staff")).json()
    assert found["override"] == {"action": "add", "until": LATER, "by": "anonymous"}


async def test_somebody_added_until_an_instant_leaves_at_it(staff: httpx2.AsyncClient) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    await upload(staff, f"customer_id,until\nana,{until.isoformat()}\nbea,\n")
    assert sorted(await members(staff, "staff")) == ["ana", "bea"]
    async with asyncio.timeout(30):
        while "ana" in await members(staff, "staff"):
            await send(staff, event(f"x{asyncio.get_running_loop().time()}", "zoe", "page_view"))
    assert await members(staff, "staff") == ["bea"]
    page = (await staff.get("/v1/transitions?after=start&customer=ana")).json()
    entered, left = page["transitions"]
    assert (entered["data"]["cause"], left["data"]["cause"]) == ("manual", "clock")
    assert datetime.fromisoformat(left["time"]) == until


async def test_what_a_list_says_by_hand_stands_whatever_the_customer_does(staff: httpx2.AsyncClient) -> None:
    await put(staff, BUYERS)
    await upload(staff, "customer_id\nana\n")
    await send(staff, event("1", "ana"), event("2", "bea"))
    assert await members(staff, "staff") == ["ana"]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfcustomer_id;action\r\nana;add\r\nbea;\r\n",
        b"sep=;\r\ncustomer_id;action\r\nana;add\r\nbea;add",
        b'"customer_id"\t"since"\n"ana"\t"2020-01-01T00:00:00Z"\nbea\t\n\t\n\n',
        b"Action , CUSTOMER_ID\nadd,ana\nadd,bea\n",
    ],
)
async def test_what_spreadsheets_write_is_understood(staff: httpx2.AsyncClient, content: bytes) -> None:
    told = await upload(staff, content)
    assert (told["accepted"], told["rejected"]) == (2, 0), told
    assert sorted(await members(staff, "staff")) == ["ana", "bea"]


async def test_bad_rows_are_located_and_keep_no_other_out(staff: httpx2.AsyncClient) -> None:
    rows = [
        "customer_id,action,until",
        "ana,add,",
        ",add,",
        "bea,put,tomorrow",
        "c" * 129 + ",add,",
        " dan,add,",
        "eve,add,2020-01-01T00:00:00Z",
        "fay,clear," + LATER,
        "gil,add",
        'hal"s,add,',
        "ida,add,",
    ]
    told = await upload(staff, "\n".join(rows))
    assert (told["rows"], told["accepted"], told["rejected"], told["errors_total"]) == (10, 2, 8, 9)
    assert [(each["row"], each["column"]) for each in told["errors"]] == [
        (3, "customer_id"),
        (4, "action"),
        (4, "until"),
        (5, "customer_id"),
        (6, "customer_id"),
        (7, "until"),
        (8, "until"),
        (9, None),
        (10, None),
    ]
    assert told["errors"][1]["error"] == "`put` is none of add, remove, clear"
    assert "as 2026-11-20T09:00:00Z" in told["errors"][2]["error"]
    assert told["errors"][7]["error"] == "has 2 columns, but the first row has 3"
    assert sorted(await members(staff, "staff")) == ["ana", "ida"]


@pytest.mark.parametrize(
    ("content", "column", "told"),
    [
        (b"", None, "the file is empty"),
        (b"customer\nana\n", "customer_id", "is no column of the first row"),
        (b"customer_id,untill\nana,\n", "untill", "did you mean `until`?"),
        (b"customer_id,phone\nana,\n", "phone", "`?ignore_columns=true` passes over others"),
        (b"customer_id,customer_id\nana,\n", "customer_id", "is a column twice"),
        ("customer_id\nana".encode("utf-16"), None, "save it as `CSV UTF-8`"),
    ],
)
async def test_a_file_whose_first_row_is_wrong_is_refused_whole(
    staff: httpx2.AsyncClient, content: bytes, column: str | None, told: str
) -> None:
    answer = await staff.post(PATH, content=content, headers=CSV)
    [mistake] = is_problem(answer, 422, "rows-rejected")["errors"]
    assert (mistake["row"], mistake["column"]) == (1, column)
    assert told in mistake["error"]
    assert await members(staff, "staff") == []


async def test_columns_that_nobody_knows_can_be_passed_over(staff: httpx2.AsyncClient) -> None:
    await upload(staff, "name,customer_id,phone\nAna,ana,1\n", "?ignore_columns=true")
    assert await members(staff, "staff") == ["ana"]


async def test_a_file_of_bad_rows_only_is_422_and_one_without_rows_too(staff: httpx2.AsyncClient) -> None:
    problem = is_problem(await staff.post(PATH, content=b"customer_id\n,\n \n", headers=CSV), 422, "rows-rejected")
    assert problem["detail"] == "The file has no rows."
    answer = await staff.post(PATH, content=b"customer_id\n ana\n", headers=CSV)
    problem = is_problem(answer, 422, "rows-rejected")
    assert (problem["detail"], problem["rejected"]) == ("None of the rows could be taken.", 1)


async def test_a_dry_run_checks_everything_and_changes_nothing(staff: httpx2.AsyncClient, services: Services) -> None:
    before = await services.log.bounds()
    told = await upload(staff, "customer_id\nana\n bea\n", "?dry_run=true")
    assert (told["dry_run"], told["accepted"], told["rejected"]) == (True, 1, 1)
    assert [bound.last for bound in await services.log.bounds()] == [bound.last for bound in before]
    assert await members(staff, "staff") == []


async def test_a_file_sent_again_under_its_key_counts_once(staff: httpx2.AsyncClient) -> None:
    key = {"Idempotency-Key": "monday"}
    first = await upload(staff, "customer_id\nana\nbea\n", **key)
    await upload(staff, "customer_id,action\nana,remove\n")
    again = await upload(staff, "customer_id\nana\nbea\n", **key)
    assert again["import"] == first["import"]
    assert await members(staff, "staff") == ["bea"]
    await upload(staff, "customer_id\nana\n")
    assert sorted(await members(staff, "staff")) == ["ana", "bea"]


async def test_of_two_rows_of_one_customer_the_later_stands(staff: httpx2.AsyncClient) -> None:
    await upload(staff, "customer_id,action\n" + "ana,remove\nana,add\n" * 20)
    assert await members(staff, "staff") == ["ana"]
    await upload(staff, "customer_id,action\n" + "ana,add\nana,remove\n" * 20)
    assert await members(staff, "staff") == []


@pytest.mark.parametrize("level", [0, 9])
async def test_gzip_is_unpacked_while_it_comes(staff: httpx2.AsyncClient, level: int) -> None:
    text = "customer_id\n" + "".join(f"customer-{n}\n" for n in range(30_000))
    halves = text[:100_000].encode(), text[100_000:].encode()
    packed = b"".join(gzip.compress(half, level) for half in halves)
    told = await upload(staff, packed, "?dry_run=true", **{"Content-Encoding": "gzip"})
    assert (told["accepted"], told["rejected"]) == (30_000, 0)
    for broken in (packed[:-10], packed[:5000] + b"x" * 50, b"no gzip"):
        answer = await staff.post(PATH, content=broken, headers=CSV | {"Content-Encoding": "gzip"})
        is_problem(answer, 400, "unreadable")


async def test_more_than_the_bound_is_413_also_unpacked(settings: Settings) -> None:
    small = settings.model_copy(update={"import_bytes_max": 2000})
    text = b"customer_id\n" + b"a\n" * 2000
    async with opened(small) as services, client_of(services) as client:
        await put(client, STAFF)
        answer = await client.post(PATH, content=text, headers=CSV)
        assert is_problem(answer, 413, "too-large")["limit_bytes"] == 2000
        packed = gzip.compress(text)
        assert len(packed) < 2000
        answer = await client.post(PATH, content=packed, headers=CSV | {"Content-Encoding": "gzip"})
        is_problem(answer, 413, "too-large")


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json"},
        {"Content-Type": "text/csv; charset=latin1"},
        {"Content-Type": "text/csv", "Content-Encoding": "br"},
    ],
)
async def test_what_is_no_csv_is_415(staff: httpx2.AsyncClient, headers: dict[str, str]) -> None:
    is_problem(await staff.post(PATH, content=b"customer_id\nana\n", headers=headers), 415, "unsupported-media")


async def test_a_segment_that_is_none_is_404(client: httpx2.AsyncClient) -> None:
    is_problem(await client.post(PATH, content=b"customer_id\nana\n", headers=CSV), 404, "no-segment")


# -- progress ----------------------------------------------------------------------------------------------------------


async def test_an_import_tells_how_far_it_is_and_who_began_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "_TOLD_EVERY_S", 0.0)
    token = "0123456789abcdef"
    tokens = parse_tokens({token: {"name": "maria", "scopes": ["manage"]}})
    go_on = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"customer_id\nana\n bea\ncid\n"
        await go_on.wait()
        yield b"dan\n"

    async with (
        opened(settings.model_copy(update={"tokens": tokens})) as services,
        client_of(services, Authorization=f"Bearer {token}") as client,
    ):
        await put(client, STAFF)
        sending = asyncio.create_task(client.post(PATH, content=slowly(), headers=CSV | WAIT))
        async with asyncio.timeout(30):
            while not (found := (await client.get("/v1/imports?segment=staff")).json()["imports"]):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            while (found := (await client.get(f"/v1/imports/{found[0]['id']}")).json())["rows"] < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert (found["state"], found["by"], found["rejected"], found["ended_at"]) == ("running", "maria", 1, None)
        go_on.set()
        told = (await sending).json()
        assert told["import"] == found["id"]
        done = (await client.get(f"/v1/imports/{found['id']}")).json()
        assert (done["state"], done["rows"], done["accepted"], done["rejected"]) == ("done", 4, 3, 1)
        assert done["errors"] == told["errors"]
        assert done["ended_at"]
        assert (await client.get("/v1/imports?segment=other")).json() == {"imports": []}
        is_problem(await client.get("/v1/imports/import-0"), 404, "no-import")


async def test_a_sender_that_goes_away_leaves_what_it_has_sent_and_an_import_that_says_so(
    live: httpx2.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "_BATCH_ROWS", 1)
    await put(live, STAFF)

    async def broken() -> AsyncIterator[bytes]:
        yield b"customer_id\nana\n"
        while services.metrics.ingest.accepted_events == 0:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        raise ConnectionError("pulled out")

    with pytest.raises(ConnectionError):
        await live.post(PATH, content=broken(), headers=CSV)
    async with asyncio.timeout(30):
        while (found := (await live.get("/v1/imports")).json()["imports"][0])["state"] == "running":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert (found["state"], found["why"], found["accepted"]) == ("broken-off", "The body broke off.", 1)
    assert services.imports == 0


async def test_a_silent_sender_is_let_go(staff: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.streamed.IDLE_S", 0.05)

    async def silent() -> AsyncIterator[bytes]:
        yield b"customer_id\nana\n"
        await asyncio.sleep(60)

    is_problem(await staff.post(PATH, content=silent(), headers=CSV), 400, "unreadable")


async def test_only_so_many_imports_run_at_once(settings: Settings) -> None:
    async with (
        opened(settings.model_copy(update={"imports_max": 1})) as services,
        client_of(services) as client,
    ):
        await put(client, STAFF)
        services.imports = 1
        answer = await client.post(PATH, content=b"customer_id\nana\n", headers=CSV)
        is_problem(answer, 503, "unavailable")
        assert answer.headers["retry-after"]


async def test_a_log_that_is_away_for_a_moment_ends_no_import(
    staff: httpx2.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, failures = services.log.append, 2

    async def flaky(records: list[NewRecord]) -> Any:
        nonlocal failures
        written = await append(records)
        failures -= 1
        if failures >= 0:
            raise Unavailable("away", 0.01)
        return written

    monkeypatch.setattr(services.log, "append", flaky)
    assert (await upload(staff, "customer_id\nana\n"))["accepted"] == 1
    assert await members(staff, "staff") == ["ana"]
    page = await services.feed.read(await services.feed.oldest())
    assert [orjson.loads(item.data)["id"] for item in page.items] == ["staff:ana:1"]


async def test_a_log_that_stays_away_ends_it_and_says_that_sending_again_is_harmless(
    staff: httpx2.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(records: list[NewRecord]) -> Any:
        raise Unavailable("away", 0.01)

    monkeypatch.setattr(imports, "_AWAY_S_MAX", 0.0)
    monkeypatch.setattr(services.log, "append", away)
    answer = await staff.post(PATH, content=b"customer_id\nana\n", headers=CSV)
    problem = is_problem(answer, 503, "unavailable")
    assert problem["accepted"] == 0
    assert answer.headers["retry-after"]
    found = (await staff.get(f"/v1/imports/{problem['import']}")).json()
    assert (found["state"], found["why"]) == ("failed", "the log or the store was away")


async def test_only_the_last_imports_are_kept_and_a_silent_one_has_broken_off(services: Services) -> None:
    store = Imports(services.store)
    for number in range(IMPORTS_KEPT_MAX + 5):
        head = Import(f"import-{number}", "staff", "ana", False, started=number, updated=number)
        await (store.write(head) if number == IMPORTS_KEPT_MAX + 4 else store.finish(head, []))
    heads = await store.newest_first(1000)
    assert len(heads) == IMPORTS_KEPT_MAX + 1  # the newest has not ended, and trims nothing
    assert heads[-1].id == "import-4"
    found = await store.read(f"import-{IMPORTS_KEPT_MAX + 4}", SILENT_MS)
    assert found is not None
    assert found[0].state == "running"
    found = await store.read(f"import-{IMPORTS_KEPT_MAX + 4}", SILENT_MS * 2)
    assert found is not None
    assert found[0].state == "broken-off"
