"""What is read of an event's properties: paths, items, filters, and the values a measure takes."""

from __future__ import annotations

from typing import Any

import pytest

from rules.extract import accepts, amounts, items_of, keys, raw_values, reader
from tests.rules.building import filters

SHOES = {"category": "shoes", "price": 60, "quantity": 2, "product_id": "s1"}
HAT = {"category": "hats", "price": 10.5, "quantity": 3, "product_id": "h1"}
BARE: dict[str, Any] = {}
ORDER: dict[str, Any] = {
    "color": "red",
    "amount": 120,
    "home": {"city": "Iasi", "geo": {"lat": 47.1}},
    "home.zip": "700",
    "items": [SHOES, HAT],
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("color", "red"),
        ("home", ORDER["home"]),
        ("home.city", "Iasi"),
        ("home.geo.lat", 47.1),
        ("home.zip", "700"),  # a property whose own name has the dot
        ("home.street", None),
        ("color.of", None),
        ("nothing", None),
        ("nothing.at.all", None),
    ],
)
def test_a_dotted_path_leads_into_objects(path: str, value: Any) -> None:
    assert reader(path)(ORDER) == value


@pytest.mark.parametrize("items", [None, "none", 5, {"a": 1}, [], ["x", 1, None]])
def test_items_that_are_none_are_no_items(items: Any) -> None:
    assert items_of({"items": items}) == []


WHERE = [
    # filter, whether it holds of ORDER, of an order without items
    ("where: {color: red}", True, False),
    ("where: {color: [blue, red]}", True, False),
    ("where: {color: {ne: blue}}", True, True),
    ("where: {color: {exists: false}}", False, True),
    ("where: {color: red, amount: {gte: 100, lt: 120}}", False, False),
    ("where: {home.city: Iasi}", True, False),
    ("where: {items.category: shoes}", True, False),
    ("where: {items.category: coats}", False, False),
    ("where: {items.category: {ne: shoes}}", True, False),  # some item differs
    ("where: {items.category: {not_in: [shoes, hats]}}", False, False),
    ("where: {items.size: {ne: 5}}", True, False),  # an item without it differs; no item, none does
    ("where: {items.size: {exists: false}}", True, True),
    ("where: {items.category: {exists: false}}", False, True),
    ("where: {items.category: {exists: true}}", True, False),
    ("where: {items.total: {gte: 120}}", True, False),
    ("where: {items.total: {gt: 120}}", False, False),
    ("where: {items.category: hats, items.price: {gte: 50}}", True, False),  # not one and the same item
    ("items: {category: hats, price: {gte: 50}}", False, False),  # one and the same
    ("items: {category: shoes, price: {gte: 50}}", True, False),
    ("items: {category: {ne: shoes}}", True, False),
    ("items: {size: {exists: false}}", True, False),  # asks for an item
    ("items: {total: 31.5}", True, False),
    ("where: {color: red}, items: {category: coats}", False, False),
]


@pytest.mark.parametrize(("text", "of_order", "of_nothing"), WHERE)
def test_filters_accept_an_event_or_not(text: str, of_order: bool, of_nothing: bool) -> None:
    accepted = accepts(*filters(text))
    assert accepted is not None

    assert accepted(ORDER) is of_order
    assert accepted({}) is of_nothing
    assert accepted({"items": []}) is of_nothing


def test_nothing_asked_is_no_filter() -> None:
    assert accepts((), ()) is None


def test_only_the_items_that_match_are_measured() -> None:
    _, hats = filters("items: {category: hats}")

    assert raw_values("items.price", hats)(ORDER) == [10.5]
    assert raw_values("items.price", ())(ORDER) == [60, 10.5]
    assert amounts("items.total", hats)(ORDER) == [31_500_000]
    assert amounts("amount", hats)(ORDER) == [120_000_000]


@pytest.mark.parametrize(
    ("properties", "found"),
    [
        ({"amount": 1.5}, [1_500_000]),
        ({"amount": "1.5"}, []),
        ({"amount": True}, []),
        ({"amount": None}, []),
        ({"amount": [1]}, []),
        ({"amount": 2 * 10**12}, []),
        ({}, []),
    ],
)
def test_what_is_no_number_gives_no_amount(properties: dict[str, Any], found: list[int]) -> None:
    assert amounts("amount", ())(properties) == found


@pytest.mark.parametrize(
    ("price", "quantity", "total"),
    [
        (2.55, 80, [204_000_000]),
        (0.0000005, 1, [0]),  # half-even
        (0.0000005, 3, [2]),
        (0.1, 3, [300_000]),  # and no float drift
        ("1", 2, []),
        (None, 2, []),
        (5, None, []),
        (True, 2, []),
        (10**9, 10**9, []),
    ],
)
def test_a_total_is_price_times_quantity_rounded_once(price: Any, quantity: Any, total: list[int]) -> None:
    assert amounts("items.total", ())({"items": [{"price": price, "quantity": quantity}]}) == total


def test_a_total_of_its_own_in_an_item_does_not_count() -> None:
    assert amounts("items.total", ())({"items": [{"total": 7, "price": 1, "quantity": 2}]}) == [2_000_000]


def test_keys_are_texts_of_scalars_alone() -> None:
    items = [{"v": "a"}, {"v": 1}, {"v": 1.0}, {"v": True}, {"v": None}, {"v": ["a"]}, BARE]

    assert keys("items.v", ())({"items": items}) == ["a", "\x00n1", "\x00n1", "\x00bTrue"]
