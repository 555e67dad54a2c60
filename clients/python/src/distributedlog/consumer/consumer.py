"""The consumer: reads topics, alone or as one of a group."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Callable, TypeVar, overload

from ..errors import ConfigurationError, DeserializationError, NotSubscribedError, WakeupError
from ..records import Message, OffsetAndTimestamp, TopicPartition
from ..transport.lane import InterruptedPollError
from ..wire import headers_in, key_in, value_in
from .config import ConsumerConfig, ConsumerOptions
from .life import Partitions, listed
from .messages import Messages
from .offsets import Offsets
from .progress import Record

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Consumer"]

K = TypeVar("K")
V = TypeVar("V")


class Consumer(Offsets[K, V]):
    """Reads messages, and commits how far it has come.

    For one thread at a time; :meth:`wakeup` is for any thread and for signal handlers. Not to be used in a process
    that was forked after it was made. Options are those of :class:`ConsumerConfig`, as keywords or as ``config``.
    """

    @overload
    def __init__(self: Consumer[bytes, bytes], **options: Unpack[ConsumerOptions]) -> None: ...
    @overload
    def __init__(self: Consumer[Any, Any], *, config: ConsumerConfig) -> None: ...
    @overload
    def __init__(
        self: Consumer[bytes, V], *, value_deserializer: Callable[[bytes], V], **options: Unpack[ConsumerOptions]
    ) -> None: ...
    @overload
    def __init__(
        self: Consumer[K, bytes], *, key_deserializer: Callable[[bytes], K], **options: Unpack[ConsumerOptions]
    ) -> None: ...
    @overload
    def __init__(
        self,
        *,
        key_deserializer: Callable[[bytes], K],
        value_deserializer: Callable[[bytes], V],
        **options: Unpack[ConsumerOptions],
    ) -> None: ...
    def __init__(self, *, config: ConsumerConfig | None = None, **options: Any) -> None:
        super().__init__(config, options)

    def poll(self, timeout_ms: float | None = 1000, max_records: int | None = None) -> Messages[K, V]:
        """The next messages: at most ``max_records`` (else ``max_poll_records``), none if none came in time.

        ``timeout_ms=None`` waits for ever, 0 not at all. All messages of the poll before count as processed from
        here on. While the broker can't be reached it is tried again, and there are no messages; after
        ``api_timeout_ms`` of that :class:`BrokerUnavailableError` is raised.
        """
        with self._guard:
            self._counters.add("polls")
            limit = self.config.max_poll_records if max_records is None else max_records
            if not 1 <= limit <= 10_000:
                raise ConfigurationError(f"max_records is {max_records!r}, and has to be from 1 to 10000")
            if not self._is_reading():
                return self._nothing_to_read(timeout_ms)
            return self._hand_out(self._fetching.records(limit, timeout_ms, limit))

    def __iter__(self) -> Iterator[Message[K, V]]:
        return self

    def __next__(self) -> Message[K, V]:
        with self._guard:
            if not self._is_reading():
                raise NotSubscribedError("nothing to loop over: call subscribe() or assign() first")
            wait_ms = self.config.consumer_timeout_ms
            messages = self._hand_out(self._fetching.records(self.config.max_poll_records, wait_ms, 1))
            if not messages:
                raise StopIteration
            return messages[0]

    def wakeup(self) -> None:
        """Ends the poll that waits, or else the next one, with :class:`WakeupError`. Nothing is lost by it."""
        self._membership.calls.lane.interrupt()

    def pause(self, *partitions: Partitions) -> None:
        """Hands out nothing of these partitions (all, if none is given) until they are resumed. They stay its own."""
        self._pause(partitions, paused=True)

    def resume(self, *partitions: Partitions) -> None:
        """Hands out messages of these partitions (of all, if none is given) again."""
        self._pause(partitions, paused=False)

    def paused(self) -> set[TopicPartition]:
        with self._guard:
            return set(self._progress.paused)

    def topics(self) -> set[str]:
        """The names of all topics."""
        with self._guard:
            return self._topics.names()

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        """The numbers of a topic's partitions; None if there is no such topic."""
        with self._guard:
            return self._topics.partitions(topic)

    def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The first offset there is, in each."""
        with self._guard:
            return {partition: start for partition, (start, _) in self._topics.bounds(partitions).items()}

    def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset that the next record will get, in each."""
        with self._guard:
            return {partition: end for partition, (_, end) in self._topics.bounds(partitions).items()}

    def offsets_for_times(self, times: Mapping[TopicPartition, int]) -> dict[TopicPartition, OffsetAndTimestamp | None]:
        """The first record that is not older than the time (ms since the epoch), in each; None if there is none."""
        with self._guard:
            return {partition: self._topics.at_time(partition, time) for partition, time in times.items()}

    def metrics(self) -> dict[str, float]:
        """Counts and times since the consumer was made, and its lag at the last poll. Asks nothing of the broker."""
        with self._guard:
            figures = self._counters.figures()
            lag, buffered = self._fetching.lag, self._progress.buffered()
            figures["retries_total"] += self._membership.calls.retries
            figures["heartbeats_total"] = self._keeper.heartbeats
            figures["partitions_assigned"] = len(self._progress.positions)
            figures["records_lag"] = sum(lag.values()) + sum(buffered.values())
            figures["records_lag_max"] = max((lag[p] + buffered.get(p, 0) for p in lag), default=0)
            return figures

    # Within

    def _pause(self, partitions: tuple[Partitions, ...], *, paused: bool) -> None:
        with self._guard:
            self._reading()
            given = listed(partitions) if partitions else sorted(self._progress.positions)
            wanted = [self._own(partition) for partition in given]
            if wanted:
                self._progress.paused = self._membership.pause(wanted, paused=paused)

    def _give_back(self, messages: Messages[K, V], given: int) -> None:
        """The application got only so many of these; the next poll begins with the rest."""
        with self._guard:
            self._progress.give_back(messages, given)

    def _poll_again(self, polled: Future[Messages[K, V]]) -> None:
        """Nobody heard what a poll said that has ended by now: the next poll says it again, and is not woken up."""
        if polled.exception() is None:
            self._give_back(polled.result(), 0)
        self._membership.calls.lane.forget_interruption()

    def _is_reading(self) -> bool:
        return self._membership.consumer_id is not None

    def _nothing_to_read(self, timeout_ms: float | None) -> Messages[K, V]:
        """Polls nothing, which is likely a mistake, but an error would end a loop that subscribes later."""
        warnings.warn("poll() without subscribe() or assign() before it returns nothing", RuntimeWarning, stacklevel=3)
        deadline = None if timeout_ms is None else time.monotonic() + timeout_ms / 1000
        try:
            while deadline is None or time.monotonic() < deadline:
                self._membership.calls.lane.pause(1.0 if deadline is None else max(deadline - time.monotonic(), 0.0))
        except InterruptedPollError:
            raise WakeupError("wakeup() ended this poll") from None
        return Messages()

    def _hand_out(self, records: list[Record]) -> Messages[K, V]:
        """Makes messages of records. What comes after one that can't be made stays in the buffer."""
        messages: Messages[K, V] = Messages()
        make_key, make_value = self.config.key_deserializer, self.config.value_deserializer
        plain = make_key is None and make_value is None
        try:
            for record in records:
                key: Any = key_in(record)
                value: Any = value_in(record)
                if not plain:
                    key = _deserialized(make_key, key, record, "key")
                    value = _deserialized(make_value, value, record, "value")
                messages.append(
                    Message(
                        record["topic"],
                        record["partition"],
                        record["offset"],
                        record["timestamp"],
                        key,
                        value,
                        headers_in(record),
                    )
                )
        except DeserializationError:
            self._progress.put_back(records[len(messages) :])
            if not messages:
                raise
            records = records[: len(messages)]
        self._progress.hand_out(messages, records)
        self._counters.add("messages", len(messages))
        return messages


def _deserialized(make: Callable[[bytes], Any] | None, data: bytes | None, record: Record, part: str) -> Any:
    if make is None or data is None:
        return data
    try:
        return make(data)
    except Exception as error:
        partition = TopicPartition(record["topic"], record["partition"])
        raise DeserializationError(partition, record["offset"], part, error) from error
