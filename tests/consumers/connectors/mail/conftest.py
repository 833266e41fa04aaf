"""A mail server for a test, and a certificate for all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from consumers.connectors.mail.connector import Mail
from consumers.state.store import Store
from tests.consumers.connectors.mail.server import SmtpServer, make_certificate
from tests.consumers.connectors.mail.worlds import connector, mail_settings


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("mail"))


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    server = SmtpServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def mail(store: Store, smtp: SmtpServer) -> AsyncIterator[Mail]:
    async with connector(store, mail_settings(smtp)) as found:
        yield found
