"""Read second: the clock is the highest log timestamp; events may come late, early, or twice."""

from __future__ import annotations

from tests.fundamentals.shop import Shop

BUYERS = {"id": "buyers", "enter": {"event": "purchase", "within": "7d"}}
TWO_ORDERS = {"id": "two-orders", "enter": {"event": "order", "count": {"gte": 2}}}


def test_a_late_event_acts_at_the_clock_and_counts_from_its_own_time() -> None:
    shop = Shop(BUYERS)
    shop.event("01-05", "visit")

    # It happened on the 1st and was read on the 5th: the change is the 5th's, the week ends on the 8th.
    assert shop.event("01-01", "purchase") == ["01-05 00:00 ana entered buyers event"]
    assert shop.wait("02-01") == ["01-08 00:00 ana exited buyers clock"]


def test_an_event_too_late_for_its_window_moves_nobody() -> None:
    shop = Shop(BUYERS)
    shop.event("01-08", "visit")

    assert shop.event("01-01", "purchase") == []


def test_an_event_from_the_future_waits_until_its_own_time() -> None:
    shop = Shop(BUYERS)

    assert shop.event("01-01 10:04", "purchase", log_ts="01-01 10:00") == []
    assert shop.wait("01-02") == ["01-01 10:04 ana entered buyers clock"]


def test_the_same_id_again_changes_nothing() -> None:
    shop = Shop(TWO_ORDERS)

    assert shop.event("01-01", "order", id="o-1") == []
    assert shop.event("01-01", "order", id="o-1") == []
    assert shop.event("01-02", "order", id="o-2") == ["01-02 00:00 ana entered two-orders event"]


def test_an_id_is_forgotten_72_hours_after_it_was_first_read() -> None:
    shop = Shop(TWO_ORDERS)
    shop.event("01-01", "order", id="o-1")

    assert shop.event("01-03 23:59", "order", id="o-1") == []
    assert shop.event("01-04", "order", id="o-1") == ["01-04 00:00 ana entered two-orders event"]
