"""A packaged connector that calls a vendor's server on this machine, and customers to call it for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from consumers.connectors.http import HttpConnector
from consumers.connectors.port import Direction, Subject
from consumers.delivery.port import Outcome
from rules.errors import Mistake
from tests.consumers.connectors.playing import keys, packaged, subject


class Calling:
    """`called` makes one call for some customers; `mistakes` checks a `with`."""

    def __init__(self, connector: HttpConnector) -> None:
        self.connector = connector

    async def called(self, call: str, with_: Mapping[str, Any], *subjects: Subject) -> Sequence[Outcome]:
        return await self.connector.call(call, with_, subjects, keys(subjects))

    def mistakes(self, call: str, with_: Mapping[str, Any], *, both_ways: bool = True) -> list[Mistake]:
        return self.connector.check(call, with_, "actions[0]", both_ways=both_ways)


@asynccontextmanager
async def calling(
    name: str, base: str, secrets: Mapping[str, str], settings: Mapping[str, str] | None = None
) -> AsyncIterator[Calling]:
    """The packaged connector `name` on a server at `base`."""
    prefix = f"SEGMENTD_CONNECTOR_{name.upper()}_"
    known = {prefix + key.upper(): value for key, value in {"base": base, **(settings or {})}.items()}
    environment = known | {f"SEGMENTD_SECRET_{key}": value for key, value in secrets.items()}
    async with packaged(name, environment) as connector:
        yield Calling(connector)


def customer(number: int | str, direction: Direction | None = None, **attributes: Any) -> Subject:
    """A customer with an e-mail address of their own, unless another is said; None: without."""
    said = {"email": f"c{number}@customer.example"} | attributes
    return subject(str(number), {name: value for name, value in said.items() if value is not None}, direction)
