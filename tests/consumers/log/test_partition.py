"""A customer is where Kafka's default partitioner would put them."""

from __future__ import annotations

import pytest

from consumers.log.partition import murmur2, partition_of

# From Kafka's own UtilsTest: signed 32-bit values.
KAFKA = {
    "21": -973932308,
    "foobar": -790332482,
    "a-little-bit-long-string": -985981536,
    "a-little-bit-longer-string": -1486304829,
    "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    "abc": 479470107,
}


@pytest.mark.parametrize(("key", "expected"), KAFKA.items())
def test_hashes_as_kafka_does(key: str, expected: int) -> None:
    assert murmur2(key.encode()) == expected & 0xFFFFFFFF


def test_partitions_by_the_hash_without_its_sign() -> None:
    assert partition_of("21", 16) == (-973932308 & 0x7FFFFFFF) % 16
    assert partition_of("abc", 7) == 479470107 % 7


def test_hashes_the_utf8_bytes_of_an_id() -> None:
    assert partition_of("ação", 1000) == (murmur2("ação".encode()) & 0x7FFFFFFF) % 1000
