"""deploy/compose.yaml: what it names exists, nothing is reachable from elsewhere, nothing starts without a token."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.cli.app import app
from service.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
TEXT = (DEPLOY / "compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: each for name, each in SERVICES.items() if each["image"].startswith("segmentd:")}
OWN_NAMES = {"REDIS_URL", "KAFKA_BOOTSTRAP_SERVERS"}
VARIABLES = {
    "SEGMENTD_TOKENS": "0123456789abcdef:ingest,fedcba9876543210:manage",
    "SEGMENTD_METRICS_TOKEN": "metrics-0123456789",
    "GRAFANA_PASSWORD": "x",
}


def filled(text: str) -> str:
    """As compose fills variables in, where all of them are set."""
    return re.sub(r"\$\{(\w+)[^}]*\}", lambda found: VARIABLES[found[1]], text).replace("$$", "$")


def mounts(service: dict[str, Any]) -> list[list[str]]:
    """[source, target, mode?]"""
    return [each.split(":") for each in service.get("volumes", ())]


def test_every_role_is_there_and_the_evaluator_twice_under_names_of_its_own() -> None:
    commands = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    commands |= {str(group.name) for group in app.registered_groups}
    roles = [each["command"][0] for each in OURS.values()]
    assert sorted(roles) == ["actions", "api", "evaluator", "evaluator", "intake"]
    assert set(roles) <= commands
    names = [each["environment"].get("SEGMENTD_EVALUATOR_NAME") for each in OURS.values()]
    assert sorted(filter(None, names)) == ["evaluator-1", "evaluator-2"]


@pytest.mark.parametrize("name", OURS)
def test_its_environment_is_settings_that_the_service_takes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = OURS[name]["environment"]
    known = {f"SEGMENTD_{field.upper()}" for field in Settings.model_fields} | OWN_NAMES
    assert set(environment) - known == set()
    for variable, value in environment.items():
        monkeypatch.setenv(variable, filled(value))
    settings = Settings()
    assert settings.tokens.scopes_of(VARIABLES["SEGMENTD_METRICS_TOKEN"]) == frozenset({"read"})
    assert "manage" in (settings.tokens.scopes_of("fedcba9876543210") or ())
    assert settings.http_port == 8080
    grace = re.fullmatch(r"(\d+)s", OURS[name]["stop_grace_period"])
    assert grace is not None
    assert int(grace[1]) > settings.shutdown_seconds


def test_a_variable_that_is_missing_is_told_with_what_to_set() -> None:
    used = re.findall(r"(?<!\$)\$\{(\w+)(:\?)?([^}]*)\}", TEXT)
    assert {name for name, _, _ in used} == set(VARIABLES)
    assert all(required and "set it to" in message for _, required, message in used)
    header = TEXT.partition("name: segmentd")[0]
    assert all(f"{name}=" in header for name in VARIABLES)


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert "privileged" not in service
    assert "network_mode" not in service
    if name not in ("kafka", "valkey"):  # their images begin as root, or change owners
        assert service["cap_drop"] == ["ALL"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_port_is_this_machines_alone(name: str) -> None:
    for port in SERVICES[name].get("ports", ()):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port), port


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_pinned_to_a_version(name: str) -> None:
    assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+\.\d+", SERVICES[name]["image"])
    assert "build" not in SERVICES[name] or (DEPLOY / SERVICES[name]["build"]["context"] / "Dockerfile").is_file()


@pytest.mark.parametrize("name", SERVICES)
def test_what_it_waits_for_can_become_healthy(name: str) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    for other, condition in SERVICES[name].get("depends_on", {}).items():
        assert condition == {"condition": "service_healthy"}
        assert "healthcheck" in SERVICES[other] or (other in OURS and "\nHEALTHCHECK " in dockerfile)


@pytest.mark.parametrize("name", SERVICES)
def test_its_files_exist_and_are_not_written_to_and_its_volumes_are_declared(name: str) -> None:
    for source, _, *mode in mounts(SERVICES[name]):
        if source.startswith("."):
            assert (DEPLOY / source).exists(), source
            assert mode == ["ro"]
        else:
            assert source in COMPOSE["volumes"]
            assert mode == []


def test_what_must_last_is_on_a_volume() -> None:
    volumes = [(source, target) for service in SERVICES.values() for source, target, *_ in mounts(service)]
    kept = {source: target for source, target in volumes if not source.startswith(".")}
    assert kept == {
        "kafka": SERVICES["kafka"]["environment"]["KAFKA_LOG_DIRS"],
        "valkey": "/data",
        "prometheus": "/prometheus",
        "grafana": "/var/lib/grafana",
    }
    assert set(COMPOSE["volumes"]) == set(kept)


def test_the_store_is_as_the_service_wants_it() -> None:
    command = SERVICES["valkey"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--appendfsync"] == "everysec"
    assert options["--maxmemory-policy"] == "noeviction"
    assert int(SERVICES["valkey"]["image"].partition(":")[2].partition(".")[0]) >= 8


def test_the_broker_is_of_the_version_that_the_tests_use_and_its_listeners_agree() -> None:
    pom = (DEPLOY / "dev" / "kafka" / "pom.xml").read_text()
    [version] = re.findall(r"<kafka\.version>([^<]+)<", pom)
    kafka = SERVICES["kafka"]
    assert kafka["image"] == f"apache/kafka:{version}"
    environment = kafka["environment"]
    listeners, advertised = (
        dict(each.split("://") for each in environment[name].split(","))
        for name in ("KAFKA_LISTENERS", "KAFKA_ADVERTISED_LISTENERS")
    )
    protocols = dict(each.split(":") for each in environment["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(","))
    assert listeners.keys() == protocols.keys() == {"INSIDE", "CONTROLLER", "OUTSIDE"}
    assert advertised["INSIDE"] == COMPOSE["x-settings"]["KAFKA_BOOTSTRAP_SERVERS"]
    assert f"127.0.0.1:{listeners['OUTSIDE'][1:]}:{listeners['OUTSIDE'][1:]}" in kafka["ports"]
    assert advertised["OUTSIDE"] == f"127.0.0.1{listeners['OUTSIDE']}"
    assert environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_prometheus_reads_every_role_with_the_token_that_it_is_given() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    [job] = config["scrape_configs"]
    targets = {target for each in job["static_configs"] for target in each["targets"]}
    assert targets == {f"{name}:{each['environment']['SEGMENTD_HTTP_PORT']}" for name, each in OURS.items()}
    for each in job["static_configs"]:
        roles = {SERVICES[target.partition(":")[0]]["command"][0] for target in each["targets"]}
        assert roles == {each["labels"]["role"]}
    prometheus = SERVICES["prometheus"]
    [script] = prometheus["command"]
    assert f">{job['authorization']['credentials_file']}\n" in script
    assert "umask 077" in script
    mounted = {target for _, target, *_ in mounts(prometheus)}
    assert {f"/etc/prometheus/{name}" for name in ["prometheus.yml", *config["rule_files"]]} <= mounted


def test_grafana_finds_its_source_and_its_dashboards() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    [source] = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    [provider] = yaml.safe_load((provisioning / "dashboards" / "segmentd.yaml").read_text())["providers"]
    grafana = SERVICES["grafana"]
    targets = {target: source for source, target, *_ in mounts(grafana)}
    assert (DEPLOY / targets["/etc/grafana/provisioning"]).samefile(provisioning)
    home = Path(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == provider["options"]["path"]
    assert (DEPLOY / targets[str(home.parent)] / home.name).is_file()
