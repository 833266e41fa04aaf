"""The same tests as on one server, on this folder's store."""

from __future__ import annotations

from tests.consumers.state.test_repair import *  # noqa: F403
