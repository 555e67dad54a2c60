"""Writing: ``from distributedlog.producer import Producer``."""

from ..records import Headers, RecordMetadata
from .asynchronous import AsyncProducer
from .config import Compression, Partitioner, ProducerConfig
from .partitioner import murmur2, partition_for
from .producer import Producer

__all__ = [
    "AsyncProducer",
    "Compression",
    "Headers",
    "Partitioner",
    "Producer",
    "ProducerConfig",
    "RecordMetadata",
    "murmur2",
    "partition_for",
]
