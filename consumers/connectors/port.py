"""What a connector is to those who use one: actions call it, checks ask it, `actions try` shows what it would send.

`use: kommo.task` names the call `task` of the connector `kommo`. Most connectors are documents (`language.py` has the
language, `packaged/` the documents); mail, profile and segment are code behind the same port.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from consumers.delivery.port import Item, Outcome
from rules.errors import Mistake, SegmentdError
from rules.language.hints import unknown

Direction = Literal["add", "remove"]


class Subject(NamedTuple):
    """One customer in one call: what templates may speak of.

    `customer`: see `customer_view`. `segment`: `{"id", "name", "about", "timezone"}`, texts. `event`: the event of
    an `on: {event: ...}` action as sent, or None. `direction`: of an `on: member` action, for others None.
    """

    customer: Mapping[str, Any]
    item: Item
    segment: Mapping[str, Any]
    event: Mapping[str, Any] | None = None
    direction: Direction | None = None


def customer_view(customer_id: str, attributes: Mapping[str, Any], tags: Sequence[str] = ()) -> dict[str, Any]:
    """What a template sees as `customer`: every attribute by its name, and `id`, `tags`, `attributes`. Null is missing.

    >>> customer_view("7", {"name": "Ana", "id": "theirs"}, ["vip"])
    {'name': 'Ana', 'id': '7', 'tags': ['vip'], 'attributes': {'name': 'Ana', 'id': 'theirs'}}
    """
    known = {name: value for name, value in attributes.items() if value is not None}
    return {**known, "id": customer_id, "tags": list(tags), "attributes": known}


class Rendered(NamedTuple):
    """One request (or mail, or record of the log) as it would be sent; every secret reads `***`.

    `method` and `url`: of HTTP; of other kinds what stands for them (`MAIL`, `smtp://host`). `body`: as text, "" for
    none. `customers`: ids of those whom this one request is for.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: str
    customers: Sequence[str]


class RenderFailed(SegmentdError):
    """A call cannot be put into words: `why`, e.g. "`customer.kommo_id` is undefined". `mendable`: it lacks a secret
    or a setting, which whoever runs the service can give it; otherwise it is wrong for this customer for good."""

    def __init__(self, why: str, mendable: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.mendable = mendable


class Connector(Protocol):
    """One way to call another system. Its name is the part before the dot of `use`."""

    @property
    def name(self) -> str: ...

    @property
    def calls(self) -> Sequence[str]:
        """What stands after the dot."""
        ...

    def batch_max(self, call: str) -> int:
        """Customers in one `call`; 1 where each is a request of its own. Unknown calls: 1."""
        ...

    def concurrency(self, call: str) -> int:
        """Requests of this process that it is good to have open at once."""
        ...

    def check(self, call: str, with_: Mapping[str, Any], at: str, *, both_ways: bool = False) -> list[Mistake]:
        """Every mistake in `with_` (templates not rendered yet), located below `at` (the action: `actions[0]`), as
        `actions[0].use`, `actions[0].with.text`. `both_ways`: of an `on: member` action."""
        ...

    async def call(
        self, call: str, with_: Mapping[str, Any], subjects: Sequence[Subject], keys: Sequence[str]
    ) -> Sequence[Outcome]:
        """Calls for 1 to `batch_max` subjects, with one idempotency key each; one outcome each, in order.

        `with_` is as the author wrote it: templates in it are rendered here, for each subject. Never raises for what
        the other side does: that is an outcome. Customers of one call differ.
        """
        ...

    def render(
        self, call: str, with_: Mapping[str, Any], subjects: Sequence[Subject], keys: Sequence[str]
    ) -> Sequence[Rendered]:
        """The requests that `call` would make, secrets masked; nothing is sent. Raises RenderFailed."""
        ...

    async def close(self) -> None: ...


class Connectors:
    """All connectors of a process by name, packaged ones, the user's own, and those that are code."""

    def __init__(self, connectors: Iterable[Connector] = ()) -> None:
        self._connectors: dict[str, Connector] = {}
        for connector in connectors:
            self.add(connector)

    def add(self, connector: Connector) -> None:
        """Takes it in; one of the same name is replaced."""
        self._connectors[connector.name] = connector

    @property
    def names(self) -> Sequence[str]:
        return sorted(self._connectors)

    def __getitem__(self, name: str) -> Connector:
        return self._connectors[name]

    def find(self, use: str) -> tuple[Connector, str] | None:
        """The connector and the call that `use` (`kommo.task`) names; None if there is none."""
        name, _, call = use.partition(".")
        connector = self._connectors.get(name)
        return (connector, call) if connector is not None and call in connector.calls else None

    def check(self, use: str, with_: Mapping[str, Any], at: str, *, both_ways: bool = False) -> list[Mistake]:
        """Every mistake of one action's `use` and `with`, each located below `at` (`actions[0]`)."""
        name, _, call = use.partition(".")
        connector = self._connectors.get(name)
        if connector is None:
            return [Mistake(f"{at}.use", unknown("connector", name, self.names))]
        if call not in connector.calls:
            known = [f"{name}.{each}" for each in connector.calls]
            return [Mistake(f"{at}.use", unknown("call", use, known))]
        return connector.check(call, with_, at, both_ways=both_ways)

    async def close(self) -> None:
        for connector in self._connectors.values():
            await connector.close()
