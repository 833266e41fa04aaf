"""`segmentd intake`: reads topics that others own, and writes what they say on to the log."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from consumers.intake.intake import Intake
from consumers.intake.kafka import KafkaReader
from consumers.intake.kafka_share import MemberSettings
from consumers.intake.settings import IntakeSettings
from consumers.intake.sources import Source, by_group
from consumers.log.kafka.dead_letters import KafkaDeadLetters
from consumers.log.kafka.log import KafkaLog
from consumers.log.kafka.settings import KafkaSettings
from rules.errors import Unavailable
from service import logs
from service.cli.output import say
from service.cli.running import CannotStart, Signals, ops_settings, run, serve_ops
from service.cli.sources import sources_from
from service.kafka import kafka_settings
from service.metrics import Metrics
from service.readiness import Readiness
from service.settings import Settings

_AGAIN_S = 1.0
_END_S = 5.0  # for who is cancelled to end
_log = logs.get("intake")


def run_intake(sources: Path | None, *, host: str | None, port: int | None) -> None:
    """Exits with 1 if it could not start or ended by itself, with 2 for a sources file that is wrong."""
    settings = ops_settings(host=host, port=port)
    chosen = sources_from(settings, sources)
    try:
        brokers = kafka_settings(settings)
    except ValueError as error:
        raise CannotStart(str(error)) from error
    if brokers is None:
        raise CannotStart(
            "`segmentd intake` reads topics of Kafka: set KAFKA_BOOTSTRAP_SERVERS. Without Kafka events come by HTTP"
        )
    logs.configure(settings.log_level, settings.log_format)
    run(lambda signals: _intake(IntakeProcess(settings, brokers, chosen), signals))


async def _intake(process: IntakeProcess, signals: Signals) -> bool:
    return await serve_ops(process, signals, process.work)


def member_settings(settings: Settings) -> MemberSettings:
    """A rebalance waits for the batch in hand, but less long than the session, or the group goes on without us."""
    session_s = settings.session_timeout_seconds
    return MemberSettings(
        session_ms=round(session_s * 1000),
        heartbeat_ms=round(min(session_s / 6, 3.0) * 1000),
        in_hand_s=session_s * 0.8,
    )


@dataclass
class IntakeProcess:
    """What its operators are answered from, and its work."""

    settings: Settings
    brokers: KafkaSettings
    sources: Sequence[Source]
    metrics: Metrics = field(default_factory=Metrics)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    reason: str = "starting"  # until there is an intake
    intake: Intake | None = None

    async def readiness(self) -> Readiness:
        if self.closing.is_set():
            return Readiness(["the service is stopping"])
        if self.intake is None:
            return Readiness([f"the intake: {self.reason}"])
        return Readiness([] if self.intake.ready else [f"the intake: {self.intake.reason}"])

    async def work(self, url: str) -> None:
        """Until `closing` is set. What it raises is told in the log as well."""
        log = KafkaLog(self.brokers)
        letters = KafkaDeadLetters(self.brokers, self.settings.dead_letters_topic)
        say(f"segmentd intake runs with {len(self.sources)} sources; /readyz, /metrics at {url}")
        try:
            if await self._prepared(log):
                reader = KafkaReader(self.brokers, by_group(self.sources), member_settings(self.settings))
                bounds = IntakeSettings(event_age_ms_max=self.settings.event_age_ms_max)
                self.intake = Intake(self.sources, reader, log, letters, settings=bounds, metrics=self.metrics.intake)
                await self._run(self.intake)
        except Exception as error:
            _log.error("the intake ended", exc_info=error)
            raise
        finally:
            await letters.close()
            await log.close()

    async def _prepared(self, log: KafkaLog) -> bool:
        """Waits for the brokers; False if the process is to end before they are there. Raises TopicWrong."""
        while not self.closing.is_set():
            try:
                await log.prepare()
                return True
            except Unavailable as error:
                if self.reason != error.why:
                    _log.warning("waiting", reason=error.why)
                self.reason = error.why
            try:
                await asyncio.wait_for(self.closing.wait(), _AGAIN_S)
            except TimeoutError:
                continue
        return False

    async def _run(self, intake: Intake) -> None:
        running = asyncio.create_task(intake.run())
        closing = asyncio.create_task(self.closing.wait())
        try:
            await asyncio.wait([running, closing], return_when=asyncio.FIRST_COMPLETED)
            await intake.stop()
            await running
        finally:
            await intake.stop()  # a client may swallow a cancellation
            running.cancel()
            closing.cancel()
            await asyncio.wait([running, closing], timeout=_END_S)
