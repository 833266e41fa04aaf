"""How random tests run: `HYPOTHESIS_PROFILE=long` tries many more examples; a failure prints how to see it again.

And the servers that tests of several folders need.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.kafka import ADDRESS, Broker, require_kafka

# A shell that starts a command in the background has it ignore SIGINT, and so would every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

_SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.data_too_large]  # documents and streams are large by nature

settings.register_profile(
    "default", max_examples=200, deadline=None, print_blob=True, suppress_health_check=_SLOW_IS_FINE
)
settings.register_profile("long", settings.get_profile("default"), max_examples=4000)
settings.register_profile("quick", settings.get_profile("default"), max_examples=30)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap servers: KAFKA_BOOTSTRAP_SERVERS, else a broker of these tests' own. Topics need names of their own."""
    if address := os.environ.get(ADDRESS):
        yield address
        return
    require_kafka()
    broker = Broker(tmp_path_factory.mktemp("kafka"))
    yield broker.start()
    broker.kill()  # nothing of it is kept


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker of a module's own, to be mistreated."""
    require_kafka()
    broker = Broker(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.kill()
