"""The same tests as on one server, on this folder's store."""

from __future__ import annotations

from tests.consumers.delivery.test_deliveries import *  # noqa: F403
from tests.consumers.delivery.test_jobs import *  # noqa: F403
