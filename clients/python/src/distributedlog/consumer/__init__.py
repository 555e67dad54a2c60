"""Reading: ``from distributedlog.consumer import Consumer, TopicPartition``."""

from ..records import Headers, Message, OffsetAndMetadata, OffsetAndTimestamp, TopicPartition
from .asynchronous import AsyncConsumer, AsyncRebalanceListener
from .config import ConsumerConfig
from .consumer import Consumer
from .listener import RebalanceListener
from .messages import Messages

__all__ = [
    "AsyncConsumer",
    "AsyncRebalanceListener",
    "Consumer",
    "ConsumerConfig",
    "Headers",
    "Message",
    "Messages",
    "OffsetAndMetadata",
    "OffsetAndTimestamp",
    "RebalanceListener",
    "TopicPartition",
]
