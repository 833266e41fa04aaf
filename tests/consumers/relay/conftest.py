"""A world a test, and crashes at named places."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from consumers.failpoints import set_hook
from consumers.state.store import Store
from tests.consumers.relay.worlds import Crashed, World


@pytest.fixture
async def world(store: Store) -> AsyncIterator[World]:
    world = World(store)
    yield world
    await world.close()


@pytest.fixture
def crash() -> Iterator[Callable[[str], None]]:
    """`crash(place)`: whoever reaches that place next raises Crashed."""

    def at(name: str) -> None:
        def hook(place: str) -> None:
            if place == name:
                set_hook(None)
                raise Crashed(place)

        set_hook(hook)

    yield at
    set_hook(None)
