"""The plain data that consumers, producers and the admin client speak of."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

__all__ = ["Headers", "Message", "OffsetAndMetadata", "OffsetAndTimestamp", "RecordMetadata", "TopicPartition"]

K_co = TypeVar("K_co", covariant=True)
V_co = TypeVar("V_co", covariant=True)

#: Headers in their order; a name may come more than once.
Headers = list[tuple[str, bytes]]


class TopicPartition(NamedTuple):
    """One partition of a topic. Partitions are numbered from 0."""

    topic: str
    partition: int


class OffsetAndMetadata(NamedTuple):
    """The next offset to read, and what to remember with it (at most 4,096 bytes of UTF-8)."""

    offset: int
    metadata: str = ""


class OffsetAndTimestamp(NamedTuple):
    """Where a record is, and its time in milliseconds since the epoch."""

    offset: int
    timestamp: int


class RecordMetadata(NamedTuple):
    """Where a sent record was written.

    ``timestamp`` is in milliseconds since the epoch; None if the broker gave the record its time and the
    acknowledgement that says so was lost.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int | None

    @property
    def topic_partition(self) -> TopicPartition:
        return TopicPartition(self.topic, self.partition)


class Message(Generic[K_co, V_co]):
    """One record, as a consumer hands it out.

    ``key`` and ``value`` are bytes, or what the consumer's deserializers made of them; None where the record has none.
    ``timestamp`` is in milliseconds since the epoch.
    """

    __slots__ = ("headers", "key", "offset", "partition", "timestamp", "topic", "value")

    def __init__(
        self,
        topic: str,
        partition: int,
        offset: int,
        timestamp: int,
        key: K_co | None,
        value: V_co | None,
        headers: Headers,
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.timestamp = timestamp
        self.key = key
        self.value = value
        self.headers = headers

    @property
    def topic_partition(self) -> TopicPartition:
        return TopicPartition(self.topic, self.partition)

    def header(self, name: str) -> bytes | None:
        """The last header of this name, or None."""
        return next((value for found, value in reversed(self.headers) if found == name), None)

    def __repr__(self) -> str:
        return (
            f"Message(topic={self.topic!r}, partition={self.partition}, offset={self.offset}, "
            f"timestamp={self.timestamp}, key={self.key!r}, value={self.value!r}, headers={self.headers!r})"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __hash__(self) -> int:
        return hash((self.topic, self.partition, self.offset))
