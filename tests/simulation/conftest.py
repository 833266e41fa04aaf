"""One store for all runs of a session, and what the seeds have come to so far: each is run once."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from consumers.embedded import Embedded
from tests.simulation.run import Report, simulate
from tests.simulation.server import Server

Run = Callable[[int], Report]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Embedded(tmp_path_factory.mktemp("simulation")) as embedded:
        server = Server(embedded)
        yield server
        server.close()


@pytest.fixture(scope="session")
def run(server: Server) -> Run:
    """The report of a seed."""
    reports: dict[int, Report] = {}

    def once(seed: int) -> Report:
        if seed not in reports:
            reports[seed] = simulate(seed, server)
        return reports[seed]

    return once
