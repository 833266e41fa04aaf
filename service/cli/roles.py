"""`segmentd api`, `evaluator` and `actions`: one role a process, on a store that they share."""

from __future__ import annotations

from service import logs
from service.cli.output import say
from service.cli.running import CannotStart, Signals, ops_settings, refuse_open_door, run, serve, settings_from
from service.ops_app import create_ops_app
from service.settings import Settings
from service.wiring import Services


def run_api(*, host: str | None, port: int | None) -> None:
    settings = settings_from(http_host=host, http_port=port)
    refuse_open_door(settings)
    _refuse_embedded(settings, "api")
    logs.configure(settings.log_level, settings.log_format)
    run(lambda signals: _api(settings, signals))


async def _api(settings: Settings, signals: Signals) -> bool:
    async def greet(_services: Services, url: str) -> None:
        say(f"segmentd api at {url}")

    return await serve(settings, signals, evaluate=False, beside=[greet])


def run_evaluator(*, host: str | None, port: int | None) -> None:
    settings = ops_settings(host=host, port=port)
    _refuse_embedded(settings, "evaluator")
    logs.configure(settings.log_level, settings.log_format)
    run(lambda signals: _evaluate(settings, signals))


async def _evaluate(settings: Settings, signals: Signals) -> bool:
    """The evaluator until SIGINT or SIGTERM; False if it ended by itself."""

    async def greet(_services: Services, url: str) -> None:
        say(f"segmentd evaluator runs; /readyz, /metrics, /v1/status at {url}")

    return await serve(settings, signals, evaluate=True, beside=[greet], create=create_ops_app)


def run_actions(*, host: str | None, port: int | None) -> None:
    settings = ops_settings(host=host, port=port)
    _refuse_embedded(settings, "actions")
    logs.configure(settings.log_level, settings.log_format)
    run(lambda signals: _deliver(settings, signals))


async def _deliver(settings: Settings, signals: Signals) -> bool:
    """Webhooks and actions until SIGINT or SIGTERM; False if they ended by themselves."""

    async def greet(_services: Services, url: str) -> None:
        say(f"segmentd actions runs; /readyz, /metrics, /v1/status at {url}")

    return await serve(settings, signals, evaluate=False, deliver=True, beside=[greet], create=create_ops_app)


def _refuse_embedded(settings: Settings, role: str) -> None:
    if settings.redis_url is None:
        raise CannotStart(
            f"`segmentd {role}` shares its store with other processes: set REDIS_URL (Redis >= 7.2 or Valkey >= 8). "
            "`segmentd up` runs everything in one process, without it"
        )
