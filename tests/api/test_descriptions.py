"""What the descriptions say is what the service does: its events, transitions, letters and notices fit them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import orjson
import pytest
import yaml

from consumers.intake.sources import DEFAULT_TOPICS
from consumers.log.dead_letters import DeadLetter, Origin
from consumers.log.kafka import dead_letters
from consumers.relay import headers
from consumers.relay.port import Outgoing, Place
from consumers.webhooks import target, targets
from consumers.webhooks.signing import new_pair, new_secret, sign, webhook_id
from rules import transitions
from rules.cases import parse_cases
from rules.errors import EventRejected
from rules.events import AT_THE_EDGE, check_event
from rules.language import load_yaml
from rules.play import Partition
from rules.records import encode_event
from rules.transitions import Transition, render, traced
from service.api.asyncapi import asyncapi
from service.app import VERSION
from service.cli.test import _plan
from service.settings import Settings
from service.subscriptions import _test_event
from tests.api import files

CASES = sorted([*(files.ROOT / "tests" / "cases").glob("*.cases.yaml"), *(files.ROOT / "rules").rglob("*.cases.yaml")])
DOCUMENT = asyncapi(VERSION)
NOW = 1_795_424_400_000


def wrong(schema: dict[str, Any], value: Any) -> list[str]:
    whole = {"allOf": [schema], "components": DOCUMENT["components"]}
    return [error.message for error in jsonschema.Draft7Validator(whole).iter_errors(value)]


def named(schema: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{schema}"}


def headers_of(message: str) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["components"]["messages"][message]["headers"]
    return found


def played(path: Path) -> Iterator[tuple[bytes, list[Transition]]]:
    """Every event of a file of cases as the log holds it, and what it changed."""
    file = parse_cases(load_yaml(path.read_text()))
    for case in file.cases:
        partition = Partition(_plan(path, file))
        for event, log_ts in case.events:
            yield encode_event(event), partition.feed(event, log_ts)
        if case.until is not None:
            yield b"", partition.run_to(case.until)


def rendered(changes: list[Transition]) -> list[dict[str, Any]]:
    return [orjson.loads(render(change)) for change in changes]


# -- the files ---------------------------------------------------------------------------------------------------------


def test_the_files_are_what_the_code_says_and_valid() -> None:
    assert files.mistakes() == [], "run `make api`"


def test_a_file_that_is_not_what_the_code_says_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(files, "FOLDER", tmp_path / "docs" / "api")
    monkeypatch.setattr(files, "OPENAPI", tmp_path / "docs" / "api" / "openapi.json")
    assert files.mistakes()[0] == "docs/api/openapi.json is not what the code says: run `make api`"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("operations.deliver.action", "post"),
        ("operations.deliver.channel.$ref", "#/channels/nowhere"),
        ("channels.events.messages.event.$ref", "#/components/messages/evnt"),
        ("channels.events.adress", "segmentd.events"),
        ("info.version", None),
        ("components.schemas.Event.type", 5),
    ],
)
def test_an_asyncapi_document_that_is_wrong_is_told(path: str, value: Any) -> None:
    broken = copy.deepcopy(DOCUMENT)
    at = broken
    *parents, last = path.split(".")
    for part in parents:
        at = at[part]
    at[last] = value
    assert files.asyncapi_mistakes(broken)


def test_an_openapi_document_that_is_wrong_is_told() -> None:
    broken = files.openapi()
    broken["paths"]["/v1/customers/{customr}"] = broken["paths"].pop("/v1/customers/{customer}")
    assert files.openapi_mistakes(broken)


def test_a_service_answers_the_description_that_is_checked_in() -> None:
    described = json.loads(files.OPENAPI.read_text())
    assert described["openapi"].startswith("3.1")
    assert described == json.loads(json.dumps(files.openapi()))


def test_examples_that_have_a_schema_fit_it() -> None:
    described = files.openapi()
    checked = 0
    for calls in described["paths"].values():
        for call in calls.values():
            for part in (call.get("requestBody", {}), *call["responses"].values()):
                for content in part.get("content", {}).values():
                    values = [each["value"] for each in content.get("examples", {}).values()]
                    values += [content["example"]] if "example" in content else []
                    schema = content.get("schema", {})
                    for value in values:
                        whole = {"allOf": [schema], "components": described["components"]}
                        assert not list(jsonschema.Draft202012Validator(whole).iter_errors(value)), value
                        checked += bool(schema)
    assert checked > 50


def test_topics_are_called_as_their_settings_call_them() -> None:
    addresses = {channel["address"] for channel in DOCUMENT["channels"].values()}
    settings = Settings.model_fields
    defaults = {settings[name].default for name in ("events_topic", "transitions_topic", "dead_letters_topic")}
    assert addresses == defaults | set(DEFAULT_TOPICS) | {None}
    assert yaml.safe_load(files.ASYNCAPI.read_text()) == json.loads(json.dumps(DOCUMENT))


# -- events ------------------------------------------------------------------------------------------------------------


def event(**changes: Any) -> dict[str, Any]:
    raw = {"id": "1", "type": "purchase", "customer_id": "ana", "ts": "2026-11-20T09:00:00Z", "properties": {}}
    return {name: value for name, value in (raw | changes).items() if value != "left out"}


def by_hand(**properties: Any) -> dict[str, Any]:
    return event(type="membership", properties={"segment": "vip", "action": "add"} | properties)


EVENTS = [
    event(),
    event(ts=None, properties=None, further="anything"),
    event(ts="left out", properties="left out"),
    event(type="profile", properties={"set": {"a": 1}, "unset": ["b"], "tags_add": ["x"], "tags_remove": []}),
    event(type="profile", properties="left out"),
    by_hand(),
    by_hand(until="2027-01-01T00:00:00Z", by="ana"),
    by_hand(until=None, by=None),
    event(hops=["vip/mail"], traceparent="00-" + "1" * 32 + "-" + "2" * 16 + "-01"),
    event(traceparent=5),
    event(hops=None),
]
NO_EVENTS = [
    [],
    event(id=""),
    event(id="x" * 129),
    event(id="left out"),
    event(customer_id=5),
    event(customer_id="x" * 129),
    event(type="Purchase"),
    event(type="tick"),
    event(type="x" * 65),
    event(ts=5),
    event(properties=[]),
    event(type="profile", properties={"set": []}),
    event(type="profile", properties={"set": {"": 1}}),
    event(type="profile", properties={"tags_add": [""]}),
    event(type="profile", properties={"tag": []}),
    event(type="membership", properties="left out"),
    by_hand(segment="VIP!"),
    by_hand(action="put"),
    by_hand(by=""),
    by_hand(by="x" * 65),
    by_hand(who="ana"),
    event(hops="vip/mail"),
    event(hops=["vip"]),
    event(hops=["a/b"] * 9),
]


@pytest.mark.parametrize("raw", EVENTS, ids=str)
def test_what_is_taken_fits_the_schema(raw: dict[str, Any]) -> None:
    assert wrong(named("Event"), raw) == []
    told = encode_event(check_event(raw, NOW, AT_THE_EDGE))
    assert wrong(named("Event"), orjson.loads(told)) == []


@pytest.mark.parametrize("raw", NO_EVENTS, ids=str)
def test_what_the_schema_refuses_is_refused(raw: Any) -> None:
    assert wrong(named("Event"), raw)
    with pytest.raises(EventRejected):
        check_event(raw, NOW, AT_THE_EDGE)


# -- transitions -------------------------------------------------------------------------------------------------------


def test_every_transition_that_the_cases_make_fits_the_schema() -> None:
    seen: set[str] = set()
    count = 0
    for path in CASES:
        for record, changes in played(path):
            if record and (raw := orjson.loads(record))["id"]:
                assert wrong(named("Event"), raw) == []
            for told in rendered(changes):
                assert wrong(named("Transition"), told) == [], told
                seen |= {told["type"], told["data"]["cause"], *told["data"]}
                seen |= {key for reason in told["data"]["why"] for key in reason}
                count += 1
    assert count > 300
    assert {"segment.entered", "segment.exited", "event", "clock", "manual", "leaves_at", "enters_at"} <= seen
    assert seen & {"at", "holds", "value", "asked", "until"} == {"at", "holds", "value", "asked", "until"}


def test_the_schema_has_each_field_of_a_transition_and_no_other() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert set(schemas["TransitionData"]["properties"]) == {*transitions._Data.__struct_fields__, "why_cut"}
    assert set(schemas["Transition"]["properties"]) == set(transitions._Told.__struct_fields__)


def test_a_transition_with_all_that_it_may_have_fits_also_cut_for_a_webhook() -> None:
    cause = check_event(event(hops=["vip/mail"]), NOW)
    why = tuple({"at": f"enter.all[{n}]", "holds": True, "value": "x" * 500, "by": "ana"} for n in range(60))
    change = Transition("vip", 1, "ana", 1, NOW, "manual", "1", why, None, "")
    [whole] = traced([change], cause)
    body = target.cut(render(whole))
    assert len(body) < target.BODY_BYTES_MAX
    told = orjson.loads(body)
    assert told["data"]["why_cut"] is True
    assert told["data"]["hops"] == ["vip/mail"]
    assert wrong(named("Transition"), told) == []
    assert wrong(named("Transition"), told | {"type": "segment.left"})


def test_what_the_service_says_of_itself_fits_the_schema() -> None:
    document = SimpleNamespace(description="the till")
    entry: Any = SimpleNamespace(id="sub-1", document=document, since=NOW, why="failing since Monday")
    told = orjson.loads(targets.notice(entry).data)
    assert wrong(named("Notice"), told) == []
    assert wrong(named("Notice"), orjson.loads(_test_event(entry, "test-1", NOW))) == []
    assert wrong(named("Notice"), told | {"type": "segment.entered"})


# -- headers -----------------------------------------------------------------------------------------------------------


def test_a_records_headers_are_those_described() -> None:
    place = Place(commit=7, nth=0, position=-1, number=3)
    trace = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"
    for traceparent in ("", trace):
        told = headers.encode(Outgoing(key=b"ana", value=b"{}", traceparent=traceparent, place=place))
        found = {name: value.decode() for name, value in told}
        assert wrong(headers_of("transition"), found) == []
        assert set(found) <= set(headers_of("transition")["properties"])


def test_a_dead_letters_headers_are_those_described() -> None:
    origin = Origin("events.purchase", 0, 536371, NOW)
    letter = DeadLetter("events.purchase", origin, "customer_id: is missing", b"{", traceparent="x")
    told = {name: value.decode() for name, value in dead_letters._headers(letter)}
    cut = {name: value.decode() for name, value in dead_letters._cut(b"12345", dead_letters._headers(letter), 3)[1]}
    for found in (told, cut):
        assert wrong(headers_of("deadLetter"), found) == []
        assert set(found) <= set(headers_of("deadLetter")["properties"])
    assert cut["cut-bytes"] == "5"
    assert list(headers_of("mark")["properties"]) == [dead_letters._MARK]


def test_a_webhooks_headers_are_those_described() -> None:
    signature = sign([new_secret(), new_secret(), new_pair()[0]], "vip:ana:1", 1_795_424_400, b"{}")
    found = {"content-type": "application/json", "webhook-timestamp": "1795424400", "webhook-signature": signature}
    assert wrong(headers_of("webhook"), found | {"webhook-id": webhook_id("vip:a.b@x:1")}) == []
    assert wrong(headers_of("webhook"), found | {"webhook-id": "vip:a.b:1"})
