"""What a producer can be told when it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Optional

from ..config import ClientConfig, ClientOptions
from ..errors import ConfigurationError

__all__ = ["Compression", "Partitioner", "ProducerConfig", "ProducerOptions"]

Compression = Literal["none", "gzip", "snappy", "lz4", "zstd"]

#: Chooses a partition from the key and the number of partitions.
Partitioner = Callable[[Optional[bytes], int], int]


class ProducerOptions(ClientOptions, total=False):
    """The options of :class:`ProducerConfig` as keywords, without the serializers."""

    linger_ms: int
    batch_size: int
    buffer_memory: int
    max_block_ms: int
    delivery_timeout_ms: int
    max_in_flight: int
    compression: Compression | None
    idempotent: bool
    partitioner: Partitioner | None
    metadata_max_age_ms: int


@dataclass(frozen=True)
class ProducerConfig(ClientConfig):
    """How a producer works. Times are in milliseconds, sizes in bytes."""

    #: How long a record may wait for others to share its request. While a request of its partition is under way, it
    #: waits for that in any case.
    linger_ms: int = 5
    #: How large a batch gets before it is sent without lingering.
    batch_size: int = 256 * 1024
    #: How much may wait to be acknowledged. When it is full, ``send()`` blocks.
    buffer_memory: int = 32 * 1024 * 1024
    #: How long ``send()`` may block, for room in the buffer or to learn of a topic's partitions.
    max_block_ms: int = 60_000
    #: How long a record may take from ``send()`` to its acknowledgement, all attempts included.
    delivery_timeout_ms: int = 120_000
    #: How many partitions are written to at the same time, each over a connection of its own.
    max_in_flight: int = 4
    #: How the broker stores the records; None is as the topic is set.
    compression: Compression | None = None
    #: Whether records are numbered, so that the broker recognises what is sent again after an answer was lost.
    idempotent: bool = True
    #: Chooses the partition of records that name none; None is Kafka's rule for keys, and takes turns without a key.
    partitioner: Partitioner | None = None
    #: How long to go by what is known of a topic's partitions before asking anew.
    metadata_max_age_ms: int = 300_000
    #: Make bytes of a key or value.
    key_serializer: Callable[[Any], bytes] | None = None
    value_serializer: Callable[[Any], bytes] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.bounded("linger_ms", 0, 60_000)
        self.bounded("batch_size", 1, 8 * 1024 * 1024)
        self.bounded("buffer_memory", 1024, 1 << 40)
        self.bounded("max_block_ms", 0, 86_400_000)
        self.bounded("delivery_timeout_ms", 1, 86_400_000)
        self.bounded("max_in_flight", 1, 64)
        self.bounded("metadata_max_age_ms", 100, 86_400_000)
        self.flag("idempotent")
        for name in ("partitioner", "key_serializer", "value_serializer"):
            self.function_or_none(name)
        if self.compression not in (None, "none", "gzip", "snappy", "lz4", "zstd"):
            raise ConfigurationError(
                f"compression is {self.compression!r}, and has to be 'none', 'gzip', 'snappy', 'lz4', 'zstd' or None"
            )
