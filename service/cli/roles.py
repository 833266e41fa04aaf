"""`segmentd api` and `segmentd evaluator`: one role a process, on a store that they share."""

from __future__ import annotations

import asyncio
import signal

from service import logs
from service.cli.output import say
from service.cli.running import CannotStart, Signals, refuse_open_door, run, serve, settings_from
from service.settings import Settings
from service.wiring import Services, open_services


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


def run_evaluator() -> None:
    settings = settings_from()
    _refuse_embedded(settings, "evaluator")
    logs.configure(settings.log_level, settings.log_format)
    run(lambda _signals: _evaluate(settings))


async def _evaluate(settings: Settings) -> bool:
    """The evaluator alone until SIGINT or SIGTERM; False if it ended by itself."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    services = await open_services(settings)
    try:
        evaluating = services.start_evaluator()
        assert evaluating is not None, "the services were opened to evaluate"
        say("segmentd evaluator runs")
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([evaluating, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        return not services.evaluator_failed
    finally:
        await services.close()


def _refuse_embedded(settings: Settings, role: str) -> None:
    if settings.redis_url is None:
        raise CannotStart(
            f"`segmentd {role}` shares its store with other processes: set REDIS_URL (Redis >= 7.2 or Valkey >= 8). "
            "`segmentd up` runs everything in one process, without it"
        )
