"""The evaluator's dead letters, for where they go with Kafka: each says where in the log it stood."""

from __future__ import annotations

from collections.abc import Sequence

from consumers.log.dead_letters import DeadLetter, DeadLetterSink, Origin
from consumers.state.commit import DeadLetter as Rejected


class LogLetters:
    """Puts what the evaluator rejects into a sink, as letters of the log's topic."""

    def __init__(self, sink: DeadLetterSink, topic: str) -> None:
        self._sink, self._topic = sink, topic

    async def put(self, partition: int, rejected: Sequence[Rejected]) -> None:
        """Durable when this returns. Raises Unavailable."""
        letters = []
        for each in rejected:
            origin = Origin(self._topic, partition, each.offset, each.timestamp_ms)
            letters.append(DeadLetter(self._topic, origin, each.reason, each.raw))
        await self._sink.put(letters)
