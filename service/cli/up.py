"""`segmentd up`: everything in one process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from service import logs
from service.cli.defining import define
from service.cli.files import SegmentFile, good_segments
from service.cli.intake import IntakeProcess
from service.cli.output import out, say
from service.cli.running import Beside, Signals, data_place, refuse_open_door, run, serve, settings_from
from service.cli.sampling import send_history, send_visits
from service.cli.sources import sources_from
from service.cli.view import View
from service.kafka import kafka_settings
from service.sample import sample_segments
from service.settings import Settings
from service.wiring import Services


def run_up(
    segments: Sequence[Path], *, sample: bool, host: str | None, port: int | None, data_dir: Path | None
) -> None:
    """Exits with 1 if it could not start or the evaluator ended by itself."""
    settings = settings_from(http_host=host, http_port=port, data_dir=data_dir)
    refuse_open_door(settings)
    files = good_segments([*(sample_segments() if sample else []), *segments]) if sample or segments else []
    _set_up_logs(settings)
    run(lambda signals: _up(settings, signals, files, sample=sample))
    say("stopped")


def _set_up_logs(settings: Settings) -> None:
    """On a terminal, where the view stands, only what is wrong; elsewhere as the settings say."""
    if out.is_terminal:
        logs.configure("warning", "console", _AboveTheView())  # type: ignore[arg-type]
    else:
        logs.configure(settings.log_level, settings.log_format)


class _AboveTheView:
    """A stream that writes log lines above the live view instead of through it."""

    def write(self, text: str) -> int:
        if text.strip():
            out.print(text.rstrip("\n"), markup=False)
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False


async def _up(settings: Settings, signals: Signals, files: Sequence[SegmentFile], *, sample: bool) -> bool:
    async def prepare(services: Services) -> None:
        changed = await define(services, files)
        if files:
            say(f"{len(files)} segments from files, {changed} new or changed")

    async def watch(services: Services, url: str) -> None:
        _greet(settings, url)
        await View(services, url).watch()

    async def traffic(services: Services, _url: str) -> None:
        if sent := await send_history(services):
            say(f"the sample shop's {sent:,} events are in; live visits go on from here")
        await send_visits(services)

    beside: list[Beside] = [watch, traffic] if sample else [watch]
    if (brokers := kafka_settings(settings)) is not None:
        sources = sources_from(settings, None)

        async def read_sources(services: Services, url: str) -> None:
            process = IntakeProcess(settings, brokers, sources, services.metrics, services.closing)
            await process.work(url)

        beside.append(read_sources)
    return await serve(settings, signals, evaluate=True, deliver=True, prepare=prepare, beside=beside)


def _greet(settings: Settings, url: str) -> None:
    say(f"segmentd is up at {url}", "bold")
    say(f"  live page  {url}/        events  POST {url}/v1/events        API  {url}/openapi.json")
    say(f"  data in {data_place(settings)}")
    if not settings.tokens:
        say("  no tokens are set (SEGMENTD_TOKENS), so only this machine can reach it")
