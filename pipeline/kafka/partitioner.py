"""Chooses the partition of each output (contract §5).

The number of the source partition, if both topics have equally many partitions, so that joins and
order hold. Otherwise by the key's hash, as Java clients compute it.
"""

from __future__ import annotations

from typing import Final

from pipeline.core.record import NO_PARTITION

_MASK: Final = 0xFFFFFFFF
_M: Final = 0x5BD1E995
_SEED: Final = 0x9747B28C


class PartitionMap:
    """Maps a source topic's partitions to an output topic's."""

    def __init__(self, source_count: int, target_count: int) -> None:
        self.is_identity = source_count == target_count
        """Whether each record keeps the number of its partition."""
        self._count = target_count

    def target(self, partition: int, key: bytes | None) -> int:
        """Return the output partition for a record of source `partition` with this key.

        NO_PARTITION leaves the choice to the client.
        """
        if self.is_identity or partition == NO_PARTITION:
            return partition
        if key is None:
            return partition % self._count
        return (murmur2(key) & 0x7FFFFFFF) % self._count


def murmur2(key: bytes) -> int:
    """Compute murmur2 as Kafka's Java client does (class `Utils`), unsigned."""
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
