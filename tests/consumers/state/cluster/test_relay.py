"""A relay whose store is a cluster: those of its tests that use all it asks of the store."""

from __future__ import annotations

from tests.consumers.relay.conftest import world
from tests.consumers.relay.test_relay import (
    test_a_fenced_process_lets_go_of_what_it_lost_and_keeps_the_rest,
    test_a_new_process_finds_what_was_not_offered_in_the_outbox,
    test_more_than_memory_holds_is_read_from_the_outbox_again,
    test_only_the_holder_of_a_partition_writes_its_notes,
    test_what_is_committed_is_published_once_in_order,
)

__all__ = [
    "test_a_fenced_process_lets_go_of_what_it_lost_and_keeps_the_rest",
    "test_a_new_process_finds_what_was_not_offered_in_the_outbox",
    "test_more_than_memory_holds_is_read_from_the_outbox_again",
    "test_only_the_holder_of_a_partition_writes_its_notes",
    "test_what_is_committed_is_published_once_in_order",
    "world",
]
