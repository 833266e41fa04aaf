"""What is said of the future comes true if nothing comes: `until` of a verdict, and `leaves_at`/`enters_at`."""

from __future__ import annotations

from hypothesis import given, settings

from rules.explain import forecast
from rules.judge import judge
from rules.play import Partition
from rules.times import NEVER
from rules.transitions import Transition
from tests.oracle import Oracle
from tests.oracle.calendars import DAY
from tests.oracle.conditions import holds, world
from tests.oracle.oracle import Customer
from tests.properties.incremental import planned
from tests.properties.strategies import Play, plays
from tests.properties.streams import Kind

FAR = 500 * DAY


def coming(customer: Customer, segment: str, now: int) -> int:
    """When judging by definition next changes this membership, NEVER for not within the horizon."""
    changes = [c.time for c in customer.changes if c.segment == segment and c.time > now]
    return min(changes, default=NEVER)


def fed(play: Play) -> tuple[Partition, list[Transition]]:
    partition = Partition(planned(play))
    found = [change for event, stamp in play.log for change in partition.feed(event, stamp)]
    return partition, found


@given(plays(Kind(most=6, future=False)))
def test_if_nothing_comes_the_next_change_is_at_the_instant_forecast(play: Play) -> None:
    partition, _ = fed(play)
    now = partition.clock
    partition.run_to(now)
    customers = Oracle(play.segments()).play(play.log, now + FAR)

    for customer_id, profile in partition.profiles.items():
        customers[customer_id].pass_time(now + FAR)
        for document in play.documents:
            said = forecast(profile, partition.plan, document["id"], now)
            if said is not None:
                truth = coming(customers[customer_id], document["id"], now)
                assert truth == (said if said < now + FAR else NEVER), (customer_id, document["id"])


@settings(max_examples=100)
@given(plays(Kind(most=5, future=False)))
def test_every_transition_forecasts_the_next_one(play: Play) -> None:
    """As known when it was made: the log is cut after each record, and time runs on."""
    for cut in range(1, len(play.log) + 1):
        log = play.log[:cut]
        partition = Partition(planned(play))
        found = [change for event, stamp in log for change in partition.feed(event, stamp)]
        latest = {(c.customer_id, c.segment): c for c in found if c.time == partition.clock}
        customers = Oracle(play.segments()).play(log, partition.clock + FAR)
        for (customer_id, segment), change in latest.items():
            if customer_id != log[-1][0].customer_id or change.forecast is None:
                continue
            customers[customer_id].pass_time(partition.clock + FAR)
            truth = coming(customers[customer_id], segment, change.time)
            assert truth == (change.forecast if change.forecast < partition.clock + FAR else NEVER), change


@given(plays(Kind(most=6, future=False)))
def test_a_verdict_stands_until_its_until(play: Play) -> None:
    partition, _ = fed(play)
    now = partition.clock
    partition.run_to(now)
    customers = Oracle(play.segments()).play(play.log, now + FAR)

    for customer_id, profile in partition.profiles.items():
        customer = customers[customer_id]
        customer.pass_time(now + 1)
        instants = [each for each in customer.pending if now < each < now + FAR]
        for segment in play.segments():
            tree = partition.plan.segments[segment.id].enter
            if segment.enter is None or tree is None:
                continue
            verdict = judge(tree, profile, now)
            for instant in [now, *(each for each in instants if each < verdict.until)]:
                seen = world(instant, customer_id, customer.events, customer.since())
                assert holds(segment.enter, seen, segment.timezone) == verdict.holds, (segment.id, instant)
