"""`up` and the commands that talk to it, as processes on real data directories."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from consumers.embedded import Embedded
from service.cli.running import CannotStart, address, is_loopback, listening, refuse_open_door, settings_from
from tests.service.cli.conftest import Run, running

Write = Callable[[str, str], Path]
BUYERS = "# who buys\nid: buyers\nenter: {event: purchase}\n"
VIPS = "id: vips\nenter: {all: [{segment: buyers}, {tag: vip}]}\n"
UP = r"is up at (http://\S+)"


def test_a_clean_restart_keeps_everything(tmp_path: Path, write: Write) -> None:
    arguments = ("up", "--port", 0, "--data-dir", tmp_path / "data")
    event = {"id": "1", "type": "purchase", "customer_id": "ana", "properties": {}}
    with running(*arguments, "--segments", write("buyers.yaml", BUYERS)) as first:
        url = first.wait_for(UP)
        answer = httpx2.post(f"{url}/v1/events", json=event, headers={"Prefer": "wait=20"})
        assert (answer.status_code, answer.json()["accepted"]) == (202, 1)
        assert first.wait_for("ana entered buyers")
        assert first.end(signal.SIGTERM) == 0
        assert first.lines[-1] == "stopped"
    with running(*arguments) as second:
        url = second.wait_for(UP)
        assert [each["segment"] for each in httpx2.get(f"{url}/v1/customers/ana/segments").json()["segments"]] == [
            "buyers"
        ]
        text = httpx2.get(f"{url}/v1/segments/buyers", headers={"Accept": "application/yaml"}).text
        assert text == BUYERS
        assert second.end(signal.SIGINT) == 0


def test_a_directory_in_use_and_a_port_in_use_are_told(tmp_path: Path) -> None:
    with running("up", "--port", 0, "--data-dir", tmp_path) as first:
        url = first.wait_for(UP)
        with running("up", "--port", 0, "--data-dir", tmp_path) as second:
            assert second.wait_for(f"{tmp_path} is in use by process")
            assert second.end(0) == 1
        with running("up", "--port", url.rpartition(":")[2], "--data-dir", tmp_path / "other") as third:
            assert third.wait_for("cannot listen on 127.0.0.1:.*--port chooses another")
            assert third.end(0) == 1
        assert first.end() == 0


def test_without_tokens_it_says_that_only_this_machine_reaches_it(tmp_path: Path) -> None:
    with running("up", "--port", 0, "--data-dir", tmp_path) as process:
        assert process.wait_for("no tokens are set .*only this machine can reach it")
        assert process.end() == 0
    with running("up", "--port", 0, "--data-dir", tmp_path, "--host", "0.0.0.0") as process:
        assert process.wait_for("without tokens the service listens on loopback only, not on 0.0.0.0")
        assert process.end(0) == 1


def test_the_sample_shop_moves_people_in_and_out_by_event_and_by_clock(tmp_path: Path) -> None:
    with running("up", "--sample", "--port", 0, "--data-dir", tmp_path) as process:
        assert process.wait_for("the sample shop's 4,444 events are in")
        assert process.wait_for(r"entered just-looked \(event")
        assert process.wait_for(r"exited  just-looked \(clock\)")
        assert process.end() == 0


def test_roles_that_share_a_store_ask_for_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    for role in ("api", "evaluator", "actions"):
        ran = run(role)
        assert ran.status == 1
        assert "set REDIS_URL" in ran.err


def test_the_demo_plays_the_shop_through_the_whole_service(run: Run) -> None:
    ran = run("demo", "--events", 300)
    assert ran.status == 0
    assert "300 events posted and evaluated" in ran.out
    assert " entered " in ran.out
    assert "because" in ran.out


def test_wrong_settings_are_told_by_name(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGMENTD_PARTITIONS", "many")
    ran = run("up")
    assert ran.status == 1
    assert "SEGMENTD_PARTITIONS: Input should be a valid integer" in ran.err


def test_diff_tells_in_words_and_apply_makes_it_so(run: Run, server: str, write: Write) -> None:
    folder = write("s/vips.yaml", VIPS).parent
    write("s/buyers.yaml", BUYERS)
    on = ("--server", server)
    ran = run("segments", "diff", folder, *on, "--exit-code")
    assert (ran.status, ran.out) == (
        1,
        "+ buyers: bought\n"
        '+ vips: is in the segment "buyers" and has the tag "vip"\n'
        "2 to add, 0 to change, 0 in no file, 0 the same\n",
    )
    assert run("segments", "apply", folder, *on).out == "added buyers\nadded vips\n2 added, 0 changed, 0 the same\n"
    assert run("segments", "diff", folder, *on, "--exit-code").status == 0

    write("s/buyers.yaml", BUYERS.replace("# who buys", "# who bought"))
    assert "~ buyers: only its text (comments, order, name) differs\n" in run("segments", "diff", folder, *on).out
    write("s/buyers.yaml", "id: buyers\nenter: {event: purchase, within: 7d}\n")
    assert "~ buyers\n    was  bought\n    now  bought in the last 7 days\n" in run("segments", "diff", folder, *on).out
    assert "changed buyers\n0 added, 1 changed, 1 the same\n" in run("segments", "apply", folder, *on).out
    assert httpx2.get(f"{server}/v1/segments/buyers").json()["version"] == 2

    (folder / "vips.yaml").unlink()
    (folder / "buyers.yaml").unlink()
    write("s/other.yaml", "id: other\nenter: {tag: x}\n")
    assert "2 in no file (--prune deletes them)" in run("segments", "apply", folder, *on).out
    assert run("segments", "apply", folder, *on, "--prune").out.startswith("deleted vips\ndeleted buyers\n")
    assert [each["id"] for each in httpx2.get(f"{server}/v1/segments").json()["segments"]] == ["other"]


def test_what_the_service_refuses_is_told_in_its_words(run: Run, server: str, write: Write) -> None:
    ran = run("segments", "apply", write("a.yaml", "id: a\nenter: {segment: nowhere}\n"), "--server", server)
    assert ran.status == 1
    assert "PUT /v1/segments/a: 422 " in ran.err
    assert "nowhere" in ran.err
    assert run("segments", "apply", write("b.yaml", "id: b\nenter: {}\n"), "--server", server).status == 1
    ran = run("segments", "diff", write("c.yaml", BUYERS), "--server", "http://127.0.0.1:1")
    assert (ran.status, "http://127.0.0.1:1" in ran.err) == (1, True)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("shop.example", False),
    ],
)
def test_only_loopback_is_open_without_tokens(host: str, loopback: bool) -> None:
    assert is_loopback(host) == loopback
    if not loopback:
        with pytest.raises(CannotStart, match="set SEGMENTD_TOKENS"):
            refuse_open_door(settings_from(http_host=host))
        refuse_open_door(settings_from(http_host=host, tokens="0123456789abcdef:read"))


def test_addresses_of_both_families_are_written_as_browsers_want_them() -> None:
    with listening("127.0.0.1", 0) as bound:
        assert address(bound) == f"http://127.0.0.1:{bound.getsockname()[1]}"
    if socket.has_ipv6:
        with listening("::1", 0) as bound:
            assert address(bound) == f"http://[::1]:{bound.getsockname()[1]}"


def test_api_and_evaluator_share_a_store_as_processes_of_their_own(tmp_path: Path, write: Write) -> None:
    with Embedded(tmp_path / "store") as store:
        env = {"REDIS_URL": store.url, "SEGMENTD_PARTITIONS": "2"}
        with running("evaluator", env=env) as evaluator, running("api", "--port", 0, env=env) as api:
            url = api.wait_for(r"segmentd api at (http://\S+)")
            ops = evaluator.wait_for(r"segmentd evaluator runs.* at (http://\S+)")
            httpx2.put(f"{url}/v1/segments/buyers", content=BUYERS, headers={"Content-Type": "application/yaml"})
            event = {"id": "1", "type": "purchase", "customer_id": "ana"}
            answer = httpx2.post(f"{url}/v1/events", json=event, headers={"Prefer": "wait=30"}, timeout=40)
            assert answer.json() == {"accepted": 1, "rejected": [], "applied": True}
            assert httpx2.get(f"{url}/v1/customers/ana/segments").json()["segments"][0]["segment"] == "buyers"
            assert httpx2.get(f"{ops}/readyz").json() == {"status": "ready", "warnings": []}
            assert 'segmentd_events_total{outcome="applied",type="purchase"} 1.0' in httpx2.get(f"{ops}/metrics").text
            assert httpx2.get(f"{ops}/v1/status").json()["customers"] == 1
            assert httpx2.get(f"{ops}/v1/segments").status_code == 404
            assert api.end() == 0
            assert evaluator.end() == 0
