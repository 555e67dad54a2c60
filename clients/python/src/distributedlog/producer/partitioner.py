"""Which partition a key belongs to: the rule of Kafka's own producers, which the broker goes by as well.

So a key finds the same partition whether this library, the broker or a Kafka client decides.
"""

from __future__ import annotations

import functools

__all__ = ["murmur2", "partition_for"]

_MASK = 0xFFFFFFFF
_M = 0x5BD1E995
_SEED = 0x9747B28C


def murmur2(data: bytes) -> int:
    """The 32 bit MurmurHash2 with Kafka's seed, unsigned."""
    whole = len(data) & ~3
    state = _SEED ^ len(data)
    for at in range(0, whole, 4):
        word = int.from_bytes(data[at : at + 4], "little") * _M & _MASK
        word = (word ^ word >> 24) * _M & _MASK
        state = (state * _M & _MASK) ^ word
    if whole < len(data):
        state = (state ^ int.from_bytes(data[whole:], "little")) * _M & _MASK
    state = (state ^ state >> 13) * _M & _MASK
    return state ^ state >> 15


@functools.lru_cache(maxsize=16_384)
def partition_for(key: bytes, partitions: int) -> int:
    """The partition of a key in a topic with so many partitions."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
