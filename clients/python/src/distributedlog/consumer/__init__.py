"""Reading: ``from distributedlog.consumer import Consumer, TopicPartition``."""

from ..records import Headers, Message, OffsetAndMetadata, OffsetAndTimestamp, TopicPartition
from .config import ConsumerConfig
from .consumer import Consumer
from .listener import RebalanceListener
from .messages import Messages

__all__ = [
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
