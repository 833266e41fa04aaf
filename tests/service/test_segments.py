"""Segments over HTTP: documents in and out, versions and conditions, references, limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from service.settings import Settings
from tests.service.conftest import client_of, opened
from tests.service.sending import BUYERS, WAIT, event, is_problem, members, put, send

YAML = """\
# Ask Bea before changing this.
id: buyers
name: Compradores   # as the shop calls them
enter: {event: purchase, within: 30d}
"""
AS_YAML = {"Content-Type": "application/yaml"}
INVALID = yaml.safe_load((Path(__file__).parents[1] / "cases" / "invalid.yaml").read_text())


async def test_a_new_segment_is_201_and_told_whole(client: httpx2.AsyncClient) -> None:
    answer = await client.put("/v1/segments/buyers", json=BUYERS, headers=WAIT)
    assert answer.status_code == 201
    assert answer.headers["location"] == "/v1/segments/buyers"
    assert answer.headers["etag"] == '"1"'
    found = answer.json()
    assert found["document"] == BUYERS
    assert (found["id"], found["version"], found["state"], found["size"]) == ("buyers", 1, "active", 0)
    assert found["activation"] == {"judged": 0, "total": 0}
    assert found["history_from"] is None
    assert found["words"]["sentence"] == "bought in the last 30 days"
    assert found["words"]["texts"] == {"enter": "bought in the last 30 days"}
    assert (await client.get("/v1/segments/buyers")).json() == found


async def test_an_authors_yaml_is_kept_with_its_comments(client: httpx2.AsyncClient) -> None:
    answer = await client.put("/v1/segments/buyers", content=YAML, headers=AS_YAML)
    assert answer.status_code == 201
    assert answer.json()["document"]["name"] == "Compradores"
    text = await client.get("/v1/segments/buyers", headers={"Accept": "application/yaml"})
    assert text.headers["content-type"].startswith("application/yaml")
    assert text.text == YAML
    assert "Accept" in text.headers["vary"]


async def test_what_was_sent_as_json_can_be_had_as_yaml(client: httpx2.AsyncClient) -> None:
    await client.put("/v1/segments/buyers", json=BUYERS)
    text = await client.get("/v1/segments/buyers", headers={"Accept": "text/html;q=0.2, application/yaml"})
    assert yaml.safe_load(text.text) == BUYERS


async def test_the_same_document_again_changes_nothing(client: httpx2.AsyncClient) -> None:
    await put(client, BUYERS)
    again = await client.put("/v1/segments/buyers", json=BUYERS)
    assert again.status_code == 200
    assert again.headers["etag"] == '"1"'


async def test_a_changed_document_judges_everybody_anew(client: httpx2.AsyncClient) -> None:
    await put(client, BUYERS)
    await send(client, event("1", "ana"), event("2", "bea"), event("3", "bea"))
    changed = await put(client, BUYERS | {"enter": {"event": "purchase", "count": {"gte": 2}}})
    assert (changed["version"], changed["size"]) == (2, 1)
    assert changed["activation"] == {"judged": 2, "total": 2}
    assert await members(client, "buyers") == ["bea"]


async def test_if_match_lets_only_the_version_through_that_one_has_read(client: httpx2.AsyncClient) -> None:
    await put(client, BUYERS)
    changed = BUYERS | {"name": "Others"}
    for stale in ('"7"', 'W/"1"', '"2", "3"'):
        answer = await client.put("/v1/segments/buyers", json=changed, headers={"If-Match": stale})
        is_problem(answer, 412, "changed-meanwhile")
        assert answer.headers["etag"] == '"1"'
    answer = await client.put("/v1/segments/buyers", json=changed, headers={"If-Match": '"9", "1"'})
    assert answer.headers["etag"] == '"2"'
    is_problem(await client.delete("/v1/segments/buyers", headers={"If-Match": '"1"'}), 412, "changed-meanwhile")
    is_problem(await client.post("/v1/segments/buyers/pause", headers={"If-Match": '"1"'}), 412, "changed-meanwhile")
    assert (await client.delete("/v1/segments/buyers", headers={"If-Match": '"2"'})).status_code == 204


async def test_if_match_on_what_does_not_exist_is_412_and_if_none_match_makes_only_new_ones(
    client: httpx2.AsyncClient,
) -> None:
    answer = await client.put("/v1/segments/buyers", json=BUYERS, headers={"If-Match": "*"})
    is_problem(answer, 412, "changed-meanwhile")
    answer = await client.put("/v1/segments/buyers", json=BUYERS, headers={"If-None-Match": "*"})
    assert answer.status_code == 201
    answer = await client.put("/v1/segments/buyers", json=BUYERS, headers={"If-None-Match": "*"})
    is_problem(answer, 412, "changed-meanwhile")


async def test_a_reader_who_has_the_version_gets_304(client: httpx2.AsyncClient) -> None:
    await put(client, BUYERS)
    for known in ('"1"', 'W/"1"', "*", '"0", "1"'):
        answer = await client.get("/v1/segments/buyers", headers={"If-None-Match": known})
        assert answer.status_code == 304
        assert answer.content == b""
        assert answer.headers["etag"] == '"1"'
    assert (await client.get("/v1/segments/buyers", headers={"If-None-Match": '"2"'})).status_code == 200


async def test_the_address_and_the_document_name_the_same_segment(client: httpx2.AsyncClient) -> None:
    problem = is_problem(await client.put("/v1/segments/sellers", json=BUYERS), 422, "segment-invalid")
    assert problem["mistakes"] == [{"at": "id", "message": "is `buyers`, but the address says `sellers`"}]


@pytest.mark.parametrize("case", INVALID, ids=lambda case: case["name"])
async def test_every_mistake_of_a_document_is_told_with_its_place(
    client: httpx2.AsyncClient, case: dict[str, Any]
) -> None:
    told = (await client.post("/v1/segments/validate", json=case["document"])).json()
    assert told["valid"] is False
    places = [mistake["at"] for mistake in told["mistakes"]]
    for at in case["errors"]:
        assert any(place == at or place.startswith((f"{at}.", f"{at}[")) for place in places), (at, places)
    segment = case["document"].get("id", "x")
    if isinstance(segment, str) and " " not in segment:
        answer = await client.put(f"/v1/segments/{segment}", json=case["document"])
        assert is_problem(answer, 422, "segment-invalid")["mistakes"] == told["mistakes"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff",
        b"- a\n- b",
        b"a: &x [*x]",
        b"!!python/object:os.system {}",
        b"[" * 5000,
        b"1",
        b"null",
        b"\x00",
        b'{"id": "a", "enter": {"event": "p", "count": {"gte": 1' + b"0" * 400 + b"}}}",
        b'{"id": "a", "enter": {"event": "p", "count": {"gte": 99999999999999999999}}}',
        b'{"id": "a", "id": "b"}',
        b"id: a\nenter: {event: p, count: {gte: .nan}}",
        b'{"id": "\\ud800"}',
    ],
)
@pytest.mark.parametrize("media", ["application/json", "application/yaml", "text/html"])
async def test_validate_answers_whatever_comes_in(client: httpx2.AsyncClient, content: bytes, media: str) -> None:
    answer = await client.post("/v1/segments/validate", content=content, headers={"Content-Type": media})
    assert answer.status_code == 200
    told = answer.json()
    assert told["valid"] is False
    assert told["mistakes"]
    assert told["words"] is None
    answer = await client.put("/v1/segments/a", content=content, headers={"Content-Type": media})
    is_problem(answer, 422, "segment-invalid")


async def test_validate_puts_a_good_document_into_words_and_changes_nothing(client: httpx2.AsyncClient) -> None:
    told = (await client.post("/v1/segments/validate", content=YAML, headers=AS_YAML)).json()
    assert told["valid"] is True
    assert told["mistakes"] == []
    assert told["words"]["parts"][0] == {
        "at": "enter",
        "text": "bought in the last 30 days",
        "depth": 0,
        "kind": "condition",
        "section": "enter",
    }
    assert (await client.get("/v1/segments")).json()["segments"] == []


async def test_a_reference_to_nothing_is_a_located_mistake(client: httpx2.AsyncClient) -> None:
    document = {"id": "vip", "enter": {"all": [{"tag": "x"}, {"segment": "buyers"}]}}
    problem = is_problem(await client.put("/v1/segments/vip", json=document), 422, "segment-invalid")
    assert problem["mistakes"][0]["at"] == "enter.all[1]"
    assert problem["mistakes"][0]["segment"] == "vip"
    told = (await client.post("/v1/segments/validate", json=document)).json()
    assert told["mistakes"] == problem["mistakes"]


async def test_a_ring_of_segments_is_refused(client: httpx2.AsyncClient) -> None:
    await put(client, BUYERS)
    await put(client, {"id": "vip", "enter": {"segment": "buyers"}})
    answer = await client.put("/v1/segments/buyers", json={"id": "buyers", "enter": {"segment": "vip"}})
    assert "vip" in str(is_problem(answer, 422, "segment-invalid")["mistakes"])


async def test_a_segment_that_another_names_is_not_deleted(client: httpx2.AsyncClient) -> None:
    await put(client, BUYERS)
    await put(client, {"id": "vip", "enter": {"not": {"segment": "buyers"}}})
    problem = is_problem(await client.delete("/v1/segments/buyers"), 409, "segment-named")
    assert problem["named_by"] == ["vip"]
    assert (await client.delete("/v1/segments/vip")).status_code == 204
    assert (await client.delete("/v1/segments/buyers")).status_code == 204
    is_problem(await client.get("/v1/segments/buyers"), 404, "no-segment")
    is_problem(await client.delete("/v1/segments/buyers"), 404, "no-segment")


async def test_when_a_segment_is_deleted_all_leave(client: httpx2.AsyncClient) -> None:
    await put(client, BUYERS)
    await send(client, event("1", "ana"))
    assert (await client.delete("/v1/segments/buyers")).status_code == 204
    await send(client, event("2", "ana"))
    assert (await client.get("/v1/customers/ana/segments")).json()["segments"] == []


async def test_paused_members_stay_until_it_is_resumed(client: httpx2.AsyncClient) -> None:
    await put(client, BUYERS)
    paused = await client.post("/v1/segments/buyers/pause", headers={"If-Match": '"1"'})
    assert (paused.json()["state"], paused.headers["etag"]) == ("paused", '"2"')
    assert (await client.post("/v1/segments/buyers/pause")).headers["etag"] == '"2"'
    await send(client, event("1", "ana"))
    assert await members(client, "buyers") == []
    resumed = await client.post("/v1/segments/buyers/resume", headers=WAIT)
    assert resumed.headers["etag"] == '"3"'
    assert resumed.json()["state"] == "active"
    assert await members(client, "buyers") == ["ana"]
    is_problem(await client.post("/v1/segments/nobody/pause"), 404, "no-segment")


async def test_no_more_segments_than_may_be(settings: Settings) -> None:
    async with opened(settings.model_copy(update={"segments_max": 2})) as services, client_of(services) as client:
        for name in ("a", "b"):
            assert (await client.put(f"/v1/segments/{name}", json=BUYERS | {"id": name})).status_code == 201
        answer = await client.put("/v1/segments/c", json=BUYERS | {"id": "c"})
        assert is_problem(answer, 409, "segments-limit")["limit"] == 2
        changed = await client.put("/v1/segments/a", json=BUYERS | {"id": "a", "name": "other"})
        assert changed.status_code == 200


async def test_the_list_pages_by_cursor(client: httpx2.AsyncClient) -> None:
    for name in ("c", "a", "b"):
        await client.put(f"/v1/segments/{name}", json=BUYERS | {"id": name})
    first = (await client.get("/v1/segments?limit=2")).json()
    assert [segment["id"] for segment in first["segments"]] == ["a", "b"]
    rest = (await client.get("/v1/segments", params={"limit": 2, "cursor": first["cursor"]})).json()
    assert [segment["id"] for segment in rest["segments"]] == ["c"]
    assert rest["cursor"] is None


@pytest.mark.parametrize(
    "query", ["cursor=x", "cursor=%FF", "cursor=eA", "limit=0", "limit=1001", "limit=x", "limit=-1"]
)
async def test_a_bad_cursor_or_limit_is_400(client: httpx2.AsyncClient, query: str) -> None:
    await put(client, BUYERS)
    is_problem(await client.get(f"/v1/segments?{query}"), 400, "invalid-parameter")
    is_problem(await client.get(f"/v1/segments/buyers/members?{query}"), 400, "invalid-parameter")


async def test_a_document_larger_than_may_be_is_413(client: httpx2.AsyncClient) -> None:
    huge = b'{"id": "a", "about": "' + b"x" * 1_100_000 + b'"}'
    is_problem(await client.put("/v1/segments/a", content=huge), 413, "too-large")
    is_problem(await client.post("/v1/segments/validate", content=huge), 413, "too-large")
