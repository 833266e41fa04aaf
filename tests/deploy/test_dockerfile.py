"""The image's recipe: what a reader of it, and a cluster that runs it, may rely on. (Nothing here builds an image.)"""

from __future__ import annotations

import fnmatch
import http.server
import json
import os
import re
import subprocess
import sys
import threading
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

from service.app import VERSION
from service.settings import Settings

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = ("rules", "consumers", "service")


class Instruction(NamedTuple):
    stage: int
    name: str
    rest: str


def instructions() -> list[Instruction]:
    """In order, continued lines joined; stages from 0."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    found: list[Instruction] = []
    stage = -1
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            stage += name == "FROM"
            found.append(Instruction(stage, name, " ".join(rest.split())))
    return found


ALL = instructions()
LAST = [each for each in ALL if each.stage == ALL[-1].stage]


def of(name: str) -> list[str]:
    """The instructions of that name in the stage that runs."""
    return [each.rest for each in LAST if each.name == name]


def environment() -> dict[str, str]:
    return dict(pair.partition("=")[::2] for rest in of("ENV") for pair in rest.split())


def allowed() -> list[str]:
    """What .dockerignore lets through; it leaves out all else."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    return [line[1:] for line in lines if line.startswith("!")]


def test_there_are_two_stages_on_one_base_pinned_to_a_version_that_the_project_supports() -> None:
    bases = {each.rest.partition(" ")[0] for each in ALL if each.name == "FROM"}
    assert [each.stage for each in ALL if each.name == "FROM"] == [0, 1]
    [base] = bases
    found = re.fullmatch(r"python:(\d+)\.(\d+)\.\d+-slim-[a-z]+", base)
    assert found is not None, base
    least = re.fullmatch(r">=(\d+)\.(\d+)", PROJECT["project"]["requires-python"])
    assert least is not None
    assert (int(found[1]), int(found[2])) >= (int(least[1]), int(least[2]))


def test_what_is_copied_exists_and_is_let_through() -> None:
    copied = [
        source for each in ALL if each.name == "COPY" and "--from" not in each.rest for source in each.rest.split()[:-1]
    ]
    assert set(copied) == set(allowed())
    assert [source for source in copied if not (ROOT / source).exists()] == []
    assert set(PACKAGES) <= set(copied)
    assert PROJECT["project"]["readme"] in copied
    assert set(PROJECT["project"]["license-files"]) <= set(copied)


def test_what_it_needs_is_installed_at_the_versions_that_the_tests_ran_with() -> None:
    installs = [each.rest for each in ALL if each.name == "RUN" and "pip install" in each.rest]
    assert len(installs) == 2
    assert "--constraint constraints.txt" in installs[0]
    assert "--only-binary :all:" in installs[0]  # the slim image has no compiler
    assert "--no-deps ." in installs[1]
    pinned = {normal(line.partition("==")[0]) for line in (ROOT / "constraints.txt").read_text().splitlines()}
    needed = {normal(re.split(r"[><=]", each)[0]) for each in PROJECT["project"]["dependencies"]}
    assert needed - pinned == set()


def normal(distribution: str) -> str:
    return distribution.lower().replace("_", "-")


def test_nothing_but_the_environment_is_taken_into_the_stage_that_runs() -> None:
    assert of("COPY") == ["--from=build /opt/segmentd /opt/segmentd"]


def test_it_runs_as_a_numeric_user_that_is_not_root() -> None:
    [user] = of("USER")
    uid, _, gid = user.partition(":")
    assert int(uid) > 0
    assert int(gid) > 0
    assert [each.name for each in LAST].index("USER") > max(n for n, each in enumerate(LAST) if each.name == "RUN")
    [made] = of("RUN")
    assert f"--owner={uid} --group={gid}" in made


def test_it_writes_only_to_the_volume_and_to_tmp() -> None:
    env = environment()
    assert env["PYTHONDONTWRITEBYTECODE"] == "1"
    assert env["HOME"] == "/tmp"
    [volume] = of("VOLUME")
    assert json.loads(volume) == [env["SEGMENTD_DATA_DIR"]] == of("WORKDIR")


def test_its_settings_are_settings_and_hold_no_secret() -> None:
    env = environment()
    names = {name.removeprefix("SEGMENTD_").lower() for name in env if name.startswith("SEGMENTD_")}
    assert names == {"data_dir", "http_host", "http_port"} <= Settings.model_fields.keys()
    assert of("EXPOSE") == [env["SEGMENTD_HTTP_PORT"]]
    text = (ROOT / "Dockerfile").read_text()
    assert not re.search(r"(?i)(token|password|secret|key)\w*=", text)


def test_the_entry_is_the_command_itself_so_that_signals_reach_it() -> None:
    [entry] = of("ENTRYPOINT")
    assert json.loads(entry) == ["segmentd"]
    assert "segmentd" in PROJECT["project"]["scripts"]
    [command] = of("CMD")
    assert json.loads(command) == ["up"]


def test_its_labels_tell_what_it_is() -> None:
    text = " ".join(of("LABEL"))
    told = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', text))
    assert told["title"] == PROJECT["project"]["name"]
    assert told["description"] == PROJECT["project"]["description"]
    assert told["licenses"] == PROJECT["project"]["license"]
    assert f"VERSION={PROJECT['project']['version']}" in of("ARG")
    assert PROJECT["project"]["version"] == VERSION


@pytest.mark.parametrize(("answer", "status"), [(200, 0), (503, 1), (None, 1)])
def test_the_health_check_needs_nothing_but_python_and_tells_alive_from_dead(answer: int | None, status: int) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answer or 0 if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        if answer is None:
            server.socket.close()
        else:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            assert run_health_check(server.server_port) == status
        finally:
            if answer is not None:
                server.shutdown()


def run_health_check(port: int) -> int:
    [check] = of("HEALTHCHECK")
    command = json.loads(check.partition("CMD ")[2])
    assert command[0] == "python"
    env = {**os.environ, "SEGMENTD_HTTP_PORT": str(port)}
    return subprocess.run([sys.executable, *command[1:]], env=env, check=False, stderr=subprocess.DEVNULL).returncode


def test_every_file_of_the_packages_that_is_no_code_is_installed_with_them() -> None:
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["*"]
    tracked = subprocess.run(["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=True)
    files = [Path(name) for name in tracked.stdout.splitlines() if not name.endswith(".py")]
    assert len(files) > 20
    assert [str(file) for file in files if not any(fnmatch.fnmatch(file.name, each) for each in patterns)] == []
