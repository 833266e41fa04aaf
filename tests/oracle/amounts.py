"""Numbers by definition: exact fractions, amounts rounded half-even to six decimals on entry (contract §2, Numbers)."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

GREATEST = 10**12


def is_number(value: Any) -> bool:
    return isinstance(value, int | float | Fraction) and not isinstance(value, bool)


def exact(value: Any) -> Fraction:
    """A number as the fraction that was written."""
    return Fraction(value) if isinstance(value, int | Fraction) else Fraction(Decimal(repr(value)))


def amount(value: Any) -> Fraction | None:
    """A value as an amount; None where it is missing, no number, or too large."""
    return _rounded(exact(value)) if is_number(value) else None


def items_total(item: dict[str, Any]) -> Fraction | None:
    """`price * quantity`, rounded once."""
    price, quantity = item.get("price"), item.get("quantity")
    return _rounded(exact(price) * exact(quantity)) if is_number(price) and is_number(quantity) else None


def _rounded(number: Fraction) -> Fraction | None:
    if abs(number) > GREATEST:
        return None
    millionths = number * 10**6
    down = millionths.numerator // millionths.denominator
    rest = millionths - down
    up = rest > Fraction(1, 2) or (rest == Fraction(1, 2) and down % 2 == 1)
    return Fraction(down + up, 10**6)
