"""Which partition an output goes to (contract §5).

The source's own number when both topics have equally many partitions, so that joins and order
hold; else by key with the hash that Java clients use.
"""

from __future__ import annotations

from typing import Final

from pipeline.core.record import NO_PARTITION

_MASK: Final = 0xFFFFFFFF
_M: Final = 0x5BD1E995
_SEED: Final = 0x9747B28C


class PartitionMap:
    """From a source topic's partitions to an output topic's."""

    def __init__(self, source_count: int, target_count: int) -> None:
        self._same = source_count == target_count
        self._count = target_count

    def target(self, partition: int, key: bytes | None) -> int:
        """The output partition of a record that was read from `partition` with this key.

        NO_PARTITION, as the client knows it, leaves the choice to the client.
        """
        if self._same or partition == NO_PARTITION:
            return partition
        if key is None:
            return partition % self._count
        return (murmur2(key) & 0x7FFFFFFF) % self._count


def murmur2(key: bytes) -> int:
    """Murmur2 as Kafka's Java client computes it (its class `Utils`), unsigned."""
    length = len(key)
    result = _SEED ^ length
    whole = length - length % 4
    for start in range(0, whole, 4):
        part = int.from_bytes(key[start : start + 4], "little") * _M & _MASK
        part = (part ^ part >> 24) * _M & _MASK
        result = (result * _M & _MASK) ^ part
    if length > whole:
        result ^= int.from_bytes(key[whole:], "little")
        result = result * _M & _MASK
    result = (result ^ result >> 13) * _M & _MASK
    return result ^ result >> 15
