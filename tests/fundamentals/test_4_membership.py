"""Read fourth: rules of their own for leaving, holds, changes by hand, and segments that name segments."""

from __future__ import annotations

from tests.fundamentals.shop import Shop

BUYERS = {"id": "buyers", "enter": {"event": "purchase", "within": "10d"}}


def test_with_an_exit_rule_the_end_of_enter_is_no_reason_to_leave() -> None:
    shop = Shop({**BUYERS, "exit": {"event": "refund", "within": "1d"}})
    shop.event("01-01", "purchase")

    assert shop.wait("03-01") == []
    assert shop.event("03-02", "refund") == ["03-02 00:00 ana exited buyers event"]


def test_a_stay_lasts_its_minimum_and_the_next_waits_for_the_cooldown() -> None:
    engaged = {
        "id": "engaged",
        "enter": {"event": "page_view", "within": "1h"},
        "hold": {"min_stay": "2h", "cooldown": "3h"},
    }
    shop = Shop(engaged)

    assert shop.event("01-01 10:00", "page_view") == ["01-01 10:00 ana entered engaged event"]
    # The hour is over at 11:00; the two hours of the stay at 12:00.
    assert shop.wait("01-01 14:00") == ["01-01 12:00 ana exited engaged clock"]
    # Back too soon: the change happens by itself when the three hours are over, because it still applies.
    assert shop.event("01-01 14:30", "page_view") == []
    assert shop.wait("01-01 16:00") == ["01-01 15:00 ana entered engaged clock"]


def test_a_hand_overrides_the_rule_until_it_is_taken_away() -> None:
    shop = Shop(BUYERS)
    shop.event("01-01", "purchase")

    removed = shop.event("01-02", "membership", segment="buyers", action="remove")
    assert removed == ["01-02 00:00 ana exited buyers manual"]
    assert shop.event("01-03", "purchase") == []
    cleared = shop.event("01-04", "membership", segment="buyers", action="clear")
    assert cleared == ["01-04 00:00 ana entered buyers manual"]


def test_a_change_goes_through_all_segments_at_one_instant() -> None:
    lost = {"id": "lost", "enter": {"all": [{"event": "purchase"}, {"not": {"segment": "buyers"}}]}}
    settled = {"id": "settled", "enter": {"segment": "buyers", "for": "7d"}}
    shop = Shop(BUYERS, lost, settled)

    assert shop.event("01-01", "purchase") == ["01-01 00:00 ana entered buyers event"]
    assert shop.wait("02-01") == [
        "01-08 00:00 ana entered settled clock",
        "01-11 00:00 ana exited buyers clock",
        "01-11 00:00 ana entered lost clock",
        "01-11 00:00 ana exited settled clock",
    ]
