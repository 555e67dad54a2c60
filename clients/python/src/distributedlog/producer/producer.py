"""The producer: writes records in the background, in batches."""

from __future__ import annotations

import contextlib
import random
import threading
import time
import warnings
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Generic, NamedTuple, TypeVar, overload

from ..config import from_options
from ..errors import (
    ConfigurationError,
    DeliveryTimeoutError,
    RecordTooLargeError,
    SequenceGapError,
    SerializationError,
    UnknownPartitionError,
    UnknownTopicError,
)
from ..guard import Guard, close_at_exit
from ..records import Headers, TopicPartition
from ..topics import Topics
from ..transport.calls import Calls, segment
from ..wire import record_out
from .buffer import Buffer, Delivery
from .config import ProducerConfig, ProducerOptions
from .partitioner import partition_for
from .sender import Sender, draw_producer_id

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

__all__ = ["Producer"]

K = TypeVar("K")
V = TypeVar("V")

#: How long sending what is left may take when the interpreter ends, in milliseconds.
EXIT_TIMEOUT_MS = 10_000
#: What a record weighs besides its key, value and headers.
RECORD_BYTES = 100


class _Known(NamedTuple):
    """What is known of a topic."""

    partitions: tuple[TopicPartition, ...]
    most_bytes: int
    until_s: float


class Producer(Generic[K, V]):
    """Writes records. For any number of threads, in the process that made it.

    Options are those of :class:`ProducerConfig`, as keywords or as ``config``.
    """

    @overload
    def __init__(self: Producer[bytes, bytes], **options: Unpack[ProducerOptions]) -> None: ...
    @overload
    def __init__(self: Producer[Any, Any], *, config: ProducerConfig) -> None: ...
    @overload
    def __init__(
        self: Producer[bytes, V], *, value_serializer: Callable[[V], bytes], **options: Unpack[ProducerOptions]
    ) -> None: ...
    @overload
    def __init__(
        self: Producer[K, bytes], *, key_serializer: Callable[[K], bytes], **options: Unpack[ProducerOptions]
    ) -> None: ...
    @overload
    def __init__(
        self,
        *,
        key_serializer: Callable[[K], bytes],
        value_serializer: Callable[[V], bytes],
        **options: Unpack[ProducerOptions],
    ) -> None: ...
    def __init__(self, *, config: ProducerConfig | None = None, **options: Any) -> None:
        self._guard = Guard("producer")
        self._guard.closed = True
        #: The options, with all defaults.
        self.config = from_options(ProducerConfig, options, config)
        #: By which the broker tells this producer's records from others.
        self.producer_id = draw_producer_id()
        self._buffer = Buffer(self.config)
        self._senders: list[tuple[Sender, threading.Thread]] = []
        self._calls = Calls(self.config)
        self._topics = Topics(self._calls)
        self._asking = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._sticky: dict[str, int] = {}
        self._guard.closed = False
        close_at_exit(self)

    def send(
        self,
        topic: str,
        value: V | None = None,
        key: K | None = None,
        headers: Iterable[tuple[str, bytes]] | Mapping[str, bytes | str] | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> Delivery:
        """Takes a record, and sends it soon. The future gives its :class:`RecordMetadata`, or the error.

        Blocks only while the topic is not known yet or the buffer is full, for ``max_block_ms`` at most. Records for
        one partition are written in the order of their ``send()``. Raises :class:`UnknownTopicError`,
        :class:`UnknownPartitionError`, :class:`RecordTooLargeError`, :class:`SerializationError` and
        :class:`BufferFullError`; then the record was not taken.
        """
        self._guard.check()
        known = self._topic(topic)
        delivery = self._append(known, topic, value, key, headers, partition, timestamp_ms, block=True)
        assert delivery is not None  # noqa: S101 - it was allowed to wait for room
        return delivery

    def flush(self, timeout_ms: int | None = None) -> None:
        """Returns when all records that were sent before are acknowledged or have failed.

        Raises :class:`DeliveryTimeoutError` if that takes longer; the records are sent all the same.
        """
        self._guard.check()
        left = self._buffer.flush(None if timeout_ms is None else timeout_ms / 1000)
        if left:
            text = f"{left} records are not acknowledged after {timeout_ms} ms, and still on their way"
            raise DeliveryTimeoutError(text)

    def partitions_for(self, topic: str) -> set[int]:
        """The numbers of a topic's partitions. Raises :class:`UnknownTopicError`."""
        self._guard.check()
        return set(range(len(self._topic(topic).partitions)))

    def metrics(self) -> dict[str, float]:
        """Counts since the producer was made. Asks nothing of the broker."""
        senders = [sender for sender, _ in self._senders]
        return {
            "records_sent_total": sum(sender.sent_records for sender in senders),
            "records_failed_total": sum(sender.failed_records for sender in senders),
            "requests_total": sum(sender.requests for sender in senders),
            "retries_total": sum(sender.retries for sender in senders),
            **self._buffer.figures(),
        }

    def close(self, timeout_ms: int | None = None) -> None:
        """Sends what is left and ends. What is not acknowledged in time fails. Closing again does nothing."""
        if self._guard.closed or self._guard.forked:
            return
        self._guard.closed = True
        self._buffer.close()
        left = self._buffer.flush(None if timeout_ms is None else timeout_ms / 1000)
        self._buffer.abort()
        for _, thread in self._senders:
            # Those that are in the midst of a request end by themselves.
            thread.join(0.2 if left else None)
        self._calls.close()

    def __enter__(self) -> Self:
        self._guard.check()
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        if not self._guard.closed and not self._guard.forked and self._senders:
            warnings.warn(
                "a producer was not closed; what it has is still sent", ResourceWarning, stacklevel=2, source=self
            )
            self._guard.closed = True
            self._buffer.close()

    def _close_at_exit(self) -> None:
        if not self._guard.closed and not self._guard.forked and self._senders:
            warnings.warn("a producer was not closed before the end", ResourceWarning, stacklevel=2, source=self)
            self.close(EXIT_TIMEOUT_MS)

    # Within

    def _send_now(
        self,
        topic: str,
        value: V | None,
        key: K | None,
        headers: Iterable[tuple[str, bytes]] | Mapping[str, bytes | str] | None,
        partition: int | None,
        timestamp_ms: int | None,
    ) -> Delivery | None:
        """Takes a record if that needs no waiting."""
        self._guard.check()
        known = self._known_topic(topic)
        if known is None:
            return None
        return self._append(known, topic, value, key, headers, partition, timestamp_ms, block=False)

    def _append(
        self,
        known: _Known,
        topic: str,
        value: V | None,
        key: K | None,
        headers: Iterable[tuple[str, bytes]] | Mapping[str, bytes | str] | None,
        partition: int | None,
        timestamp_ms: int | None,
        *,
        block: bool,
    ) -> Delivery | None:
        """Takes a record; None if there is no room and it may not wait."""
        key_bytes = _serialized(self.config.key_serializer, key, "key")
        value_bytes = _serialized(self.config.value_serializer, value, "value")
        listed = _headers(headers) if headers else []
        number = self._partition(known, topic, key_bytes, partition)
        size = (len(key_bytes) if key_bytes else 0) + (len(value_bytes) if value_bytes else 0)
        if listed:
            size += sum(len(name) + len(data) for name, data in listed)
        if size > known.most_bytes:
            message = f"the record has {size} bytes, and in {topic} it may have at most {known.most_bytes}"
            raise RecordTooLargeError(message, code="record_too_large")
        record = record_out(key_bytes, value_bytes, listed, number, timestamp_ms)
        delivery = self._buffer.append(known.partitions[number], record, size + RECORD_BYTES, block=block)
        if delivery is not None and not self._buffer.idle and len(self._senders) < self.config.max_in_flight:
            self._start_sender()
        return delivery

    def _partition(self, known: _Known, topic: str, key: bytes | None, partition: int | None) -> int:
        count = len(known.partitions)
        if partition is not None:
            if not 0 <= partition < count:
                message = f"{topic} has {count} partitions, from 0, and so none with the number {partition}"
                raise UnknownPartitionError(message, code="partition_not_found")
            return partition
        if self.config.partitioner is not None:
            chosen = self.config.partitioner(key, count)
            if not 0 <= chosen < count:
                raise ConfigurationError(f"the partitioner chose {chosen}, and {topic} has {count} partitions, from 0")
            return chosen
        if count == 1:
            return 0
        if key is not None:
            return partition_for(key, count)
        # Records without a key fill a batch of one partition together, and the next batch goes to the next partition.
        sticky = self._sticky.get(topic)
        if sticky is None:
            sticky = random.randrange(count)
        elif not self._buffer.has_open_batch(known.partitions[sticky % count]):
            sticky = (sticky + 1) % count
        self._sticky[topic] = sticky
        return sticky

    def _known_topic(self, topic: str) -> _Known | None:
        known = self._known.get(topic)
        return known if known is not None and known.until_s > time.monotonic() else None

    def _topic(self, topic: str) -> _Known:
        known = self._known_topic(topic)
        if known is not None:
            return known
        with self._asking:
            timeout_s = self.config.max_block_ms / 1000
            try:
                found = self._topics.get(topic, timeout_s)
            except UnknownTopicError:
                if not self._created(topic, timeout_s):
                    raise
                found = self._topics.get(topic, timeout_s)
            until_s = time.monotonic() + self.config.metadata_max_age_ms / 1000
            partitions = tuple(TopicPartition(topic, number) for number in range(found["partitions"]))
            self._known[topic] = _Known(partitions, found["max_message_bytes"], until_s)
            return self._known[topic]

    def _created(self, topic: str, timeout_s: float) -> bool:
        """Has a topic created by a broker that creates those that are produced to. Writes nothing.

        Such a broker creates the topic before it looks at the sequence, which is one that can't be next.
        """
        body = {"records": [{"partition": 0}], "producer_id": self.producer_id, "epoch": 0, "sequence": 1}
        try:
            self._calls.call("POST", f"/api/topics/{segment(topic)}/produce", body, timeout_s=timeout_s)
        except SequenceGapError:
            return True
        except UnknownTopicError:
            pass
        return False

    def _start_sender(self) -> None:
        with self._asking:
            if len(self._senders) >= self.config.max_in_flight:
                return
            sender = Sender(self.config, self._buffer, self.producer_id)
            thread = threading.Thread(target=sender.run, name=f"takhin-sender-{len(self._senders)}", daemon=True)
            # At the interpreter's end no thread can be started any more; those that there are do the work.
            with contextlib.suppress(RuntimeError):
                thread.start()
                self._senders.append((sender, thread))


def _serialized(serialize: Callable[[Any], bytes] | None, given: object, part: str) -> bytes | None:
    if given is None:
        return None
    if serialize is not None:
        try:
            given = serialize(given)
        except Exception as error:
            raise SerializationError(f"the {part} could not be serialized: {type(error).__name__}: {error}") from error
    if isinstance(given, bytes):
        return given
    if isinstance(given, (bytearray, memoryview)):
        return bytes(given)
    raise SerializationError(
        f"a {part} has to be bytes, and this is {type(given).__name__}: encode it, or give a {part}_serializer"
    )


def _headers(headers: Iterable[tuple[str, bytes]] | Mapping[str, bytes | str]) -> Headers:
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return [(name, data.encode() if isinstance(data, str) else bytes(data)) for name, data in pairs]
