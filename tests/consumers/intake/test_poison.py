"""A topic with 1% broken records of every kind: all in the dead letters, none lost, none in the way of good ones."""

from __future__ import annotations

import time

import pytest

from consumers.intake.intake import dead_letter_of
from consumers.intake.mapping import event_of_record, times_of
from consumers.intake.port import SourceRecord
from consumers.intake.sources import Source
from consumers.log.dead_letters import DeadLetter
from consumers.log.kafka.dead_letters import KafkaDeadLetters
from consumers.log.kafka.settings import KafkaSettings
from rules.errors import EventRejected
from rules.events import AT_THE_EDGE
from rules.times import format_instant
from tests.consumers.intake.poison import POISON
from tests.consumers.intake.topics import Group, Sent, make_topic, send, unique
from tests.consumers.intake.worlds import NOW_MS, CountingMetrics, MemoryLog, native, until

GOOD_FOR_EACH_BAD = 99


@pytest.mark.parametrize(("value", "told"), [each[1:] for each in POISON], ids=[each[0] for each in POISON])
def test_a_broken_record_is_refused_with_a_reason_that_says_so(value: bytes | None, told: str) -> None:
    record = SourceRecord("poison", 0, 0, NOW_MS, None, value)
    with pytest.raises(EventRejected) as refused:
        event_of_record(Source("poison"), record, AT_THE_EDGE, times_of(record, NOW_MS))
    assert told in str(refused.value)
    assert 0 < len(dead_letter_of(record, str(refused.value)).reason) <= 500


async def letters_of(box: KafkaDeadLetters) -> list[DeadLetter]:
    return [each async for each in box.newest_first()]


async def test_all_of_it_is_in_the_dead_letters_and_all_else_in_the_log(kafka: str) -> None:
    topic, group = unique("poison"), unique("group")
    await make_topic(kafka, topic, 4, max_message_bytes="8000000")
    now = format_instant(time.time_ns() // 1_000_000)
    records: list[Sent] = []
    for number, (name, value, _) in enumerate(POISON):
        records.append(Sent(value, name.encode(), partition=number % 4))
        for n in range(GOOD_FOR_EACH_BAD):
            event_id = f"{number}-{n}"
            records.append(Sent(native(f"c{n}", id=event_id, ts=now), event_id.encode(), partition=n % 4))
    await send(kafka, topic, records)
    box = KafkaDeadLetters(KafkaSettings(kafka), unique("letters"))
    log, metrics = MemoryLog(), CountingMetrics()
    good = len(POISON) * GOOD_FOR_EACH_BAD
    try:
        async with Group(kafka, [Source(topic, group=group)], log, box).running(metrics):
            await until(lambda: sum(metrics.counts.values()) >= len(records), 60)
        letters = await letters_of(box)
    finally:
        await box.close()
    assert sorted(each["id"] for each in log.events) == sorted(
        f"{number}-{n}" for number in range(len(POISON)) for n in range(GOOD_FOR_EACH_BAD)
    )
    assert metrics.counts == {(topic, "accepted"): good, (topic, "rejected"): len(POISON)}
    kept = {letter.key: letter for letter in letters}
    assert len(letters) == len(kept) == len(POISON)
    for name, value, told in POISON:
        letter = kept[name.encode()]
        assert (letter.raw, letter.source, letter.origin.topic) == (value, topic, topic)
        assert letter.reason
        assert told in letter.reason, name
        assert letter.cut_bytes == 0
    assert len({letter.origin for letter in letters}) == len(POISON)
