"""A packaged connector that calls a vendor's server on this machine, and customers to call it for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from consumers.clock import SYSTEM_CLOCK, Clock
from consumers.connectors.load import load_connectors
from consumers.connectors.port import Connector, Direction, Subject, customer_view
from consumers.connectors.secrets import Secrets
from consumers.delivery.port import Item, Outcome
from consumers.outbound import Outbound
from rules.errors import Mistake

SEGMENT = {"id": "vip", "name": "VIP", "about": "", "timezone": "UTC"}


class Calling:
    """`called` makes one call for some customers; `mistakes` checks a `with`."""

    def __init__(self, connector: Connector) -> None:
        self.connector = connector

    async def called(self, call: str, with_: Mapping[str, Any], *subjects: Subject) -> Sequence[Outcome]:
        keys = [f"act:{subject.item.id}" for subject in subjects]
        return await self.connector.call(call, with_, subjects, keys)

    def mistakes(self, call: str, with_: Mapping[str, Any], *, both_ways: bool = True) -> list[Mistake]:
        return self.connector.check(call, with_, "actions[0]", both_ways=both_ways)


@asynccontextmanager
async def calling(
    name: str,
    base: str,
    secrets: Mapping[str, str],
    settings: Mapping[str, str] | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> AsyncIterator[Calling]:
    """The packaged connector `name` on a server at `base`."""
    prefix = f"SEGMENTD_CONNECTOR_{name.upper()}_"
    known = {prefix + key.upper(): value for key, value in {"base": base, **(settings or {})}.items()}
    environment = {f"SEGMENTD_SECRET_{key}": value for key, value in secrets.items()}
    outbound = Outbound(["127.0.0.0/8"], timeout_s=60.0)
    try:
        connectors = load_connectors(None, outbound, Secrets(None, environment), clock=clock, environment=known)
        yield Calling(connectors[name])
    finally:
        await outbound.close()


def customer(number: int | str, direction: Direction | None = None, **attributes: Any) -> Subject:
    """A customer with an e-mail address of their own, unless another is said; None: without."""
    said = {"email": f"c{number}@customer.example"} | attributes
    known = {name: value for name, value in said.items() if value is not None}
    item = Item(f"vip:{number}:1", "entered" if direction != "remove" else "exited", 0, str(number), "vip")
    return Subject(customer_view(str(number), known), item, SEGMENT, None, direction)
