"""Which connectors there are: the packaged ones, and the user's own, all checked at start."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from consumers.connectors import port
from consumers.connectors.load import load_connectors, packaged_documents, read_directory
from consumers.connectors.parse import ConnectorInvalid
from consumers.connectors.port import Connectors
from consumers.connectors.secrets import Secrets
from tests.consumers.connectors.playing import Played, keys, subject

OWN = "connector: {name}\nbase: https://own.example\ncalls: {{hello: {{post: /hello, json: {{to: '{{{{ to }}}}'}}}}}}\n"


def test_the_example_of_the_port_is_true() -> None:
    found = doctest.testmod(port)
    assert (found.attempted, found.failed) == (1, 0)


def loaded(directory: Path | None, caller: Played | None = None) -> Connectors:
    return load_connectors(directory, caller or Played(), Secrets(None, {}), environment={})


def test_the_packaged_ones_are_right_and_say_what_they_are_for() -> None:
    documents = packaged_documents()
    assert {"gomag", "google_ads", "kommo", "mailchimp", "meta", "slack", "webhook"} >= {
        each.name for each in documents
    }
    assert {"gomag", "kommo", "slack", "webhook"} <= {each.name for each in documents}
    for document in documents:
        assert document.about, document.name
        assert Path(document.source).stem == document.name
        for call in document.calls.values():
            assert call.about, f"{document.name}.{call.name}"
            assert all(each.about for each in call.parameters.values()), f"{document.name}.{call.name}"


def test_ones_own_come_from_files_and_replace_packaged_ones(tmp_path: Path) -> None:
    (tmp_path / "crm.yaml").write_text(OWN.format(name="crm"))
    (tmp_path / "slack.yml").write_text(OWN.format(name="slack"))
    (tmp_path / "notes.txt").write_text("no connector")
    found = loaded(tmp_path)
    assert {"crm", "slack", "kommo"} <= set(found.names)
    assert found["slack"].calls == ["hello"]
    assert found.find("crm.hello") is not None
    assert found.find("crm.bye") is None
    assert found.find("slack.post") is None


async def test_ones_own_is_called_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "crm.yaml").write_text(OWN.format(name="crm"))
    caller = Played()
    ana = subject("ana", {"name": "Ana"})
    await loaded(tmp_path, caller)["crm"].call("hello", {"to": "{{ customer.name }}"}, [ana], keys([ana]))
    [asked] = caller.asked
    assert (asked.url, asked.json) == ("https://own.example/hello", {"to": "Ana"})


def test_every_mistake_of_every_file_is_told_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("connector: a\ncalls: {n: {post: n}}\n")
    (tmp_path / "b.yaml").write_text(OWN.format(name="mail"))
    (tmp_path / "c.yaml").write_text(OWN.format(name="crm"))
    (tmp_path / "d.json").write_text('{"connector": "crm", "base": "https://x.example", "calls": {"n": {"get": "/n"}}}')
    with pytest.raises(ConnectorInvalid) as told:
        loaded(tmp_path)
    places = [(Path(each.document).name, each.at) for each in told.value.mistakes]
    assert places == [("a.yaml", "calls.n.post"), ("b.yaml", "connector"), ("d.json", "connector")]


def test_a_directory_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConnectorInvalid, match="cannot be read"):
        read_directory(tmp_path / "nowhere")


CHECKED = [
    ("kommo.task", {"text": "x"}, []),
    ("komo.task", {}, [("actions[2].use", "no such connector `komo`; did you mean `kommo`?")]),
    ("kommo.tsk", {}, [("actions[2].use", "no such call `kommo.tsk`; did you mean `kommo.task`?")]),
    ("kommo", {}, [("actions[2].use", "no such call `kommo`")]),
    ("kommo.task", {"txt": "x"}, [
        ("actions[2].with.txt", "no such parameter of `kommo.task` `txt`; did you mean `text`?"),
        ("actions[2].with.text", "`kommo.task` needs `text` (what is to be done)"),
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("use", "with_", "expected"), CHECKED)
def test_what_an_action_uses_is_checked(use: str, with_: dict[str, object], expected: list[tuple[str, str]]) -> None:
    told = loaded(None).check(use, with_, "actions[2]")
    assert [each.at for each in told] == [at for at, _ in expected]
    for mistake, (_, words) in zip(told, expected, strict=True):
        assert mistake.message.startswith(words)
