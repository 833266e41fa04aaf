"""A feed to write to."""

from __future__ import annotations

import pytest

from consumers.state.store import Store
from tests.consumers.delivery.worlds import FeedWriter


@pytest.fixture
async def feed(store: Store) -> FeedWriter:
    writer = FeedWriter(store)
    await writer.own()
    return writer
