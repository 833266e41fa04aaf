"""Read third: what follows, and what does not follow."""

from __future__ import annotations

from tests.fundamentals.shop import Shop

CART_LEFT = {
    "id": "cart-left",
    "enter": {"event": "cart", "within": "1d", "not_followed_by": {"event": "purchase", "within": "1h"}},
}


def test_a_cart_left_for_an_hour_is_known_when_the_hour_is_over() -> None:
    shop = Shop(CART_LEFT)

    assert shop.event("01-01 10:00", "cart") == []
    assert shop.wait("01-03") == [
        "01-01 11:00 ana entered cart-left clock",
        "01-02 10:00 ana exited cart-left clock",
    ]


def test_a_purchase_at_the_very_deadline_still_answers_the_cart() -> None:
    shop = Shop(CART_LEFT)
    shop.event("01-01 10:00", "cart")

    assert shop.event("01-01 11:00", "purchase") == []
    assert shop.wait("01-03") == []


def test_a_late_purchase_takes_back_what_the_clock_had_concluded() -> None:
    shop = Shop(CART_LEFT)
    shop.event("01-01 10:00", "cart")

    assert shop.wait("01-01 12:00") == ["01-01 11:00 ana entered cart-left clock"]
    assert shop.event("01-01 10:30", "purchase") == ["01-01 12:00 ana exited cart-left event"]
