"""What stands beside a count that only grows sleeps until that is reached: nobody can tell, but the timers."""

from __future__ import annotations

from random import Random

import pytest

from rules import compile as compiling
from rules.events import Event
from rules.plan import Definition, Plan
from rules.play import Partition
from rules.times import NEVER
from rules.transitions import render
from tests.rules.building import DAY, HOUR, by_hand, definition, edition, event, plan_of, told

LAPSING = """{id: lapsing, enter: {all: [
    {event: purchase, count: {gte: 2}}, {not: {event: page_view, within: 1d}}, {event: page_view}]}}"""


def test_below_the_count_an_event_sets_no_timer() -> None:
    partition = Partition(plan_of(LAPSING))
    partition.feed(event("purchase", 0))
    partition.feed(event("page_view", HOUR))

    assert partition.profiles["ana"].wake == NEVER


def test_reaching_the_count_wakes_what_was_seen_before() -> None:
    log = [event("page_view", 0), event("purchase", HOUR), event("purchase", 2 * HOUR)]

    assert told(plan_of(LAPSING), log, until=3 * DAY) == ["1970-01-02T00:00:00Z ana entered lapsing clock"]


def test_the_least_of_several_counts_wakes_what_they_share() -> None:
    loyal = LAPSING.replace("lapsing", "loyal").replace("gte: 2", "gt: 0")
    log = [event("page_view", 0), event("purchase", HOUR), event("purchase", 2 * DAY)]

    assert told(plan_of(LAPSING, loyal), log, until=3 * DAY) == [
        "1970-01-02T00:00:00Z ana entered loyal clock",
        "1970-01-03T00:00:00Z ana entered lapsing event",
    ]


def random_leaf(random: Random) -> str:
    kind, few = random.choice(["purchase", "page_view"]), random.choice([0, 1, 2, 3])
    window = random.choice(["within: 2h", "within: 5h", "within: 9h, before: 1h"])
    return random.choice(
        [
            f"{{event: {kind}, {window}, count: {{{random.choice(['gte', 'lt', 'eq'])}: {few}}}}}",
            f"{{not: {{event: {kind}, {window}}}}}",
            f"{{event: {kind}, {random.choice(['since_last', 'since_first'])}: {{gt: {random.randint(1, 6)}h}}}}",
            f"{{event: {kind}, {window}, sum: {{of: amount, gte: {random.randint(1, 4)}}}}}",
            f"{{event: {kind}, within: 4h, last: {{of: amount, gte: 2}}}}",
            f"{{any: [{{event: {kind}, {window}}}, {{event: {kind}, since_last: {{gt: 2h}}}}]}}",
            f"{{not: {{event: {kind}, not_followed_by: {{event: purchase, within: 2h}}}}}}",
        ]
    )


def random_document(random: Random, name: str) -> str:
    leaves = [random_leaf(random) for _ in range(random.randint(1, 2))]
    for _ in range(random.randint(1, 2)):
        ever = f"{{event: {random.choice(['purchase', 'page_view'])}, count: {{gte: {random.randint(1, 5)}}}}}"
        leaves.insert(random.randint(0, len(leaves)), ever)
    text = f"{{id: {name}, enter: {{all: [{', '.join(leaves)}]}}"
    if random.random() < 0.3:
        text += f", exit: {random_leaf(random)}"
    if random.random() < 0.3:
        text += f", hold: {{{random.choice(['min_stay', 'cooldown'])}: 2h}}"
    return text + "}"


def random_log(random: Random) -> list[tuple[Event, int]]:
    found: list[tuple[Event, int]] = []
    clock = 0
    for place in range(random.randint(3, 25)):
        clock += random.choice([0, 1, 1, 3, 7]) * HOUR // 2
        ts = clock - random.choice([0, 0, 0, 2, 4]) * HOUR
        if random.random() < 0.1:
            each = by_hand(ts, f"s{random.randrange(4)}", random.choice(["add", "remove", "clear"]), id=f"m{place}")
        else:
            amount = random.choice([1, 2, 3, -2])
            each = event(random.choice(["purchase", "page_view"]), ts, id=f"e{place}", amount=amount)
        found.append((each, clock))
    return found


def played(plans: list[tuple[int, Plan]], log: list[tuple[Event, int]]) -> list[bytes]:
    """Everything said of one customer whose plan changes, each from a place in the log on."""
    partition = Partition(plans[0][1])
    found = []
    for place, (each, clock) in enumerate(log):
        partition.plan = [plan for begins, plan in plans if begins <= place][-1]
        found += partition.feed(each, clock)
    found += partition.run_to(partition.clock + DAY)
    return [render(change) for change in found]


def editions(documents: list[str], changed: list[Definition], middle: int, log: list[tuple[Event, int]]) -> list[Plan]:
    first = plan_of(*documents)
    return [first, edition(first, log[middle - 1][1], *changed)]


@pytest.mark.parametrize("seed", range(150))
def test_sleeping_changes_nothing_that_is_told(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = Random(seed)
    documents = [random_document(random, f"s{n}") for n in range(4)]
    changed = [definition(random_document(random, "s1"), 2)]
    log = random_log(random)
    middle = random.randint(1, len(log) - 1)
    asleep = editions(documents, changed, middle, log)
    monkeypatch.setattr(compiling, "_only_grows", lambda node: False)
    awake = editions(documents, changed, middle, log)
    assert any(slot.gated for slot in asleep[0].slots), "nothing sleeps here"
    assert not any(slot.gated for slot in awake[0].slots)

    places = [0, middle]
    assert played(list(zip(places, asleep, strict=True)), log) == played(list(zip(places, awake, strict=True)), log)
