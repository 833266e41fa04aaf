"""One partition in memory: its clock is the highest log timestamp, and what is due comes in order of time."""

from __future__ import annotations

from rules.play import Partition
from rules.times import NEVER
from tests.rules.building import DAY, HOUR, SECOND, by_hand, event, lines, plan_of, played, told

DAYLY = plan_of("{id: a, enter: {event: purchase, within: 1d}}")


def test_the_clock_is_the_highest_log_timestamp_read() -> None:
    partition = Partition(DAYLY)
    assert partition.clock == -NEVER

    partition.feed(event("purchase", 5000))
    partition.feed(event("purchase", 1000, "bob"))
    assert partition.clock == 5000
    partition.feed(event("purchase", 2000, "eve"), 9000)
    assert partition.clock == 9000


def test_a_late_event_changes_at_the_clocks_time() -> None:
    partition = Partition(DAYLY)
    partition.feed(event("refund", DAY))

    assert lines(partition.feed(event("purchase", HOUR))) == ["1970-01-02T00:00:00Z ana entered a event"]
    assert lines(partition.run_to(9 * DAY)) == ["1970-01-02T01:00:00Z ana exited a clock"]


def test_an_event_of_the_future_waits_for_its_time() -> None:
    partition = Partition(DAYLY)

    assert partition.feed(event("purchase", 60 * SECOND), 0) == []
    assert partition.profiles["ana"].wake == 60 * SECOND
    assert partition.run_to(60 * SECOND - 1) == []
    assert lines(partition.run_to(60 * SECOND)) == ["1970-01-01T00:01:00Z ana entered a clock"]


def test_what_is_due_before_a_record_comes_first_over_all_customers_in_order_of_time() -> None:
    partition = Partition(DAYLY)
    for hours, name in ((3, "eve"), (1, "ana"), (2, "bob")):
        partition.feed(event("purchase", hours * HOUR, name), 3 * HOUR)

    assert lines(partition.feed(event("purchase", 30 * HOUR, "zoe"))) == [
        "1970-01-02T01:00:00Z ana exited a clock",
        "1970-01-02T02:00:00Z bob exited a clock",
        "1970-01-02T03:00:00Z eve exited a clock",
        "1970-01-02T06:00:00Z zoe entered a event",
    ]


def test_what_is_due_at_a_records_own_instant_is_judged_with_it() -> None:
    """The window closes as the next purchase comes in: nothing changes. A page view does not keep it open."""
    assert told(DAYLY, [event("purchase", 0), event("purchase", DAY)], DAY) == [
        "1970-01-01T00:00:00Z ana entered a event"
    ]
    assert told(DAYLY, [event("purchase", 0), event("page_view", DAY)])[1:] == [
        "1970-01-02T00:00:00Z ana exited a event"
    ]


def test_another_customers_record_at_that_instant_does_not_matter() -> None:
    assert told(DAYLY, [event("purchase", 0), event("page_view", DAY, "bob")])[1:] == []
    assert told(DAYLY, [event("purchase", 0), event("page_view", DAY + 1, "bob")])[1:] == [
        "1970-01-02T00:00:00Z ana exited a clock"
    ]


def test_a_duplicate_is_no_reason_to_judge() -> None:
    log = [event("purchase", 0, id="p"), event("purchase", DAY, id="p")]

    assert told(DAYLY, log, DAY)[1:] == ["1970-01-02T00:00:00Z ana exited a clock"]


def test_what_is_due_at_until_itself_is_done() -> None:
    partition, _ = played(DAYLY, [event("purchase", 0)])

    assert partition.run_to(DAY - 1) == []
    assert len(partition.run_to(DAY)) == 1
    assert partition.run_to(DAY) == []


def test_the_clock_does_not_run_back() -> None:
    partition, _ = played(DAYLY, [event("purchase", 5 * DAY)])
    partition.run_to(DAY)

    assert partition.clock == 5 * DAY


def test_a_timer_that_was_moved_on_rings_once() -> None:
    log = [event("purchase", n * HOUR) for n in range(50)]

    assert told(DAYLY, log, 30 * DAY) == [
        "1970-01-01T00:00:00Z ana entered a event",
        "1970-01-04T01:00:00Z ana exited a clock",
    ]


def test_members_are_told_with_since_when() -> None:
    plan = plan_of("{id: a, enter: {event: purchase, within: 1d}}", "{id: b, list: true}")
    partition, _ = played(plan, [event("purchase", 0), event("purchase", HOUR, "bob"), by_hand(2 * HOUR, "b", "add")])
    assert sorted(partition.memberships()) == [("ana", "a", 0), ("ana", "b", 2 * HOUR), ("bob", "a", HOUR)]

    partition.run_to(DAY)
    assert sorted(partition.memberships()) == [("ana", "b", 2 * HOUR), ("bob", "a", HOUR)]


def test_what_became_of_events_is_counted() -> None:
    partition = Partition(DAYLY)
    partition.feed(event("purchase", 0, id="a"), DAY)
    partition.feed(event("purchase", 0, id="a"), DAY)
    partition.feed(event("purchase", DAY + SECOND, id="b"), DAY)
    partition.feed(event("purchase", DAY, id="c"))

    tally = partition.tally
    assert (tally.events, tally.late, tally.duplicates, tally.waiting, tally.capped) == (3, 1, 1, 1, 0)


def test_events_that_overflow_a_cap_are_counted() -> None:
    plan = plan_of("{id: a, enter: {event: purchase, within: 365d, count: {gte: 9}}}")
    partition, _ = played(plan, [event("purchase", n) for n in range(4100)])

    assert partition.tally.capped == 4


def test_a_customer_is_judged_against_every_segment_at_the_first_event_whatever_it_is() -> None:
    plan = plan_of(
        "{id: quiet, enter: {not: {event: purchase}}}",
        "{id: all-of-them, enter: {sample: {percent: 100}}}",
        "{id: none-of-them, enter: {sample: {percent: 0}}}",
        "{id: untold, enter: {attribute: city, exists: false}}",
        "{id: both, enter: {all: [{segment: quiet}, {segment: untold}]}}",
        "{id: bought, enter: {event: purchase}}",
    )

    assert sorted(change.split()[3] for change in told(plan, [event("something", 0)])) == [
        "all-of-them", "both", "quiet", "untold"
    ]  # fmt: skip
    assert sorted(change.split()[3] for change in told(plan, [event("purchase", 0)])) == [
        "all-of-them", "bought", "untold"
    ]  # fmt: skip
