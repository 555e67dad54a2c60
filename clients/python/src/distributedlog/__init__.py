"""A client of Takhin, the log broker that speaks plain HTTP.

:class:`Consumer` reads, :class:`Producer` writes, :class:`Admin` looks after topics and groups; :class:`AsyncConsumer`
and :class:`AsyncProducer` do it for asyncio. Errors are in :mod:`distributedlog.errors`, and all of them are
:class:`TakhinError`. What goes on is told to the logger ``distributedlog``.
"""

from .admin import Admin, GroupDescription, GroupPartition, MovedOffset, TopicDescription
from .config import ClientConfig
from .consumer import (
    AsyncConsumer,
    AsyncRebalanceListener,
    Consumer,
    ConsumerConfig,
    Headers,
    Message,
    Messages,
    OffsetAndMetadata,
    OffsetAndTimestamp,
    RebalanceListener,
    TopicPartition,
)
from .errors import TakhinError, WakeupError
from .producer import AsyncProducer, Producer, ProducerConfig, RecordMetadata

__version__ = "0.1.0"

__all__ = [
    "Admin",
    "AsyncConsumer",
    "AsyncProducer",
    "AsyncRebalanceListener",
    "ClientConfig",
    "Consumer",
    "ConsumerConfig",
    "GroupDescription",
    "GroupPartition",
    "Headers",
    "Message",
    "Messages",
    "MovedOffset",
    "OffsetAndMetadata",
    "OffsetAndTimestamp",
    "Producer",
    "ProducerConfig",
    "RebalanceListener",
    "RecordMetadata",
    "TakhinError",
    "TopicDescription",
    "TopicPartition",
    "WakeupError",
    "__version__",
]
