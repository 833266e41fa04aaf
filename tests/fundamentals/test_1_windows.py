"""Read first: how a customer enters a segment by an event and leaves it by the clock."""

from __future__ import annotations

from rules.transitions import Transition
from tests.fundamentals.shop import Shop, at

BUYERS = {"id": "buyers", "enter": {"event": "purchase", "within": "7d"}}
BIG_SPENDERS = {
    "id": "big-spenders",
    "enter": {"event": "purchase", "within": "30d", "sum": {"of": "amount", "gte": 100}},
}


def test_an_event_lets_a_customer_in_and_the_clock_lets_them_out() -> None:
    shop = Shop(BUYERS)

    assert shop.event("01-01 10:00", "purchase") == ["01-01 10:00 ana entered buyers event"]
    assert shop.members("buyers") == ["ana"]
    # Seven days later to the millisecond, with nothing else happening. The time is when it was due, not when noticed.
    assert shop.wait("02-01") == ["01-08 10:00 ana exited buyers clock"]
    assert shop.members("buyers") == []


def test_a_second_purchase_carries_the_stay_on_without_a_word() -> None:
    shop = Shop(BUYERS)
    shop.event("01-01 10:00", "purchase")

    assert shop.event("01-05 12:00", "purchase") == []
    assert shop.wait("02-01") == ["01-12 12:00 ana exited buyers clock"]


def test_what_is_asked_of_the_events_that_count_is_a_measure() -> None:
    shop = Shop(BIG_SPENDERS)

    assert shop.event("01-01", "purchase", amount=60.5) == []
    assert shop.event("01-10", "purchase", amount=39.5) == ["01-10 00:00 ana entered big-spenders event"]
    # The sum falls below 100 when the older of the two turns 30 days old.
    assert shop.wait("06-01") == ["01-31 00:00 ana exited big-spenders clock"]


def test_a_transition_says_why_and_until_when() -> None:
    shop = Shop(BUYERS)
    shop.event("01-01", "purchase")
    changes: list[Transition] = shop.partition.run_to(at("02-01"))

    left = changes[0]
    assert left.id == "buyers:ana:2"  # segment, customer, and how many changes there were: the idempotency key
    assert [leaf["at"] for leaf in left.why] == ["enter"]
    assert left.why[0]["holds"] is False
