"""The consumer for asyncio: the same consumer, worked by a thread of its own so that the event loop never waits."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Generic, TypeVar, overload

from ..errors import NotSubscribedError
from ..records import Message, OffsetAndMetadata, OffsetAndTimestamp, TopicPartition
from ..worker import Worker
from .config import ConsumerConfig, ConsumerOptions
from .consumer import Consumer
from .life import Partitions
from .listener import RebalanceListener
from .messages import Messages
from .offsets import Points

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

__all__ = ["AsyncConsumer", "AsyncRebalanceListener"]

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


class AsyncRebalanceListener:
    """Override what you need; see :class:`RebalanceListener`. The poll waits until it has returned."""

    async def on_partitions_assigned(self, partitions: list[TopicPartition]) -> None:
        """These partitions are new."""

    async def on_partitions_revoked(self, partitions: list[TopicPartition]) -> None:
        """These partitions go to another member when the next poll begins."""

    async def on_partitions_lost(self, partitions: list[TopicPartition]) -> None:
        """These partitions are gone without notice."""
        await self.on_partitions_revoked(partitions)


class AsyncConsumer(Generic[K, V]):
    """Reads messages, and commits how far it has come. What each method does is told at :class:`Consumer`.

    Use it in one event loop. A call that is cancelled has either happened or not; a poll that is cancelled loses
    nothing: what it would have returned comes with the next one.
    """

    @overload
    def __init__(self: AsyncConsumer[bytes, bytes], **options: Unpack[ConsumerOptions]) -> None: ...
    @overload
    def __init__(self: AsyncConsumer[Any, Any], *, config: ConsumerConfig) -> None: ...
    @overload
    def __init__(
        self: AsyncConsumer[bytes, V], *, value_deserializer: Callable[[bytes], V], **options: Unpack[ConsumerOptions]
    ) -> None: ...
    @overload
    def __init__(
        self: AsyncConsumer[K, bytes], *, key_deserializer: Callable[[bytes], K], **options: Unpack[ConsumerOptions]
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
        self._worker: Worker | None = None
        make: Any = Consumer
        self._consumer: Consumer[K, V] = make(config=config, **options)
        self.config = self._consumer.config
        #: What `async for` has left of the latest poll.
        self._loop: tuple[Messages[K, V], Any] | None = None

    async def subscribe(
        self,
        topics: str | Iterable[str] = (),
        pattern: str | re.Pattern[str] | None = None,
        listener: AsyncRebalanceListener | None = None,
    ) -> None:
        bridge = None if listener is None else _Bridge(self, listener, asyncio.get_running_loop())
        await self._do(lambda: self._consumer.subscribe(topics, pattern, bridge))

    async def assign(self, partitions: Partitions) -> None:
        await self._do(lambda: self._consumer.assign(partitions))

    async def unsubscribe(self) -> None:
        await self._do(self._consumer.unsubscribe)

    async def poll(self, timeout_ms: float | None = 1000, max_records: int | None = None) -> Messages[K, V]:
        self._leave_loop()
        polled = self._submit(lambda: self._consumer.poll(timeout_ms, max_records))
        try:
            return await asyncio.shield(_heard(polled))
        except asyncio.CancelledError:
            # Nobody waits for it any more: it is to end soon, and what it found comes with the next poll.
            self._consumer.wakeup()
            self._submit(lambda: self._consumer._poll_again(polled))
            raise

    def __aiter__(self) -> AsyncIterator[Message[K, V]]:
        return self

    async def __anext__(self) -> Message[K, V]:
        while True:
            if self._loop is not None:
                for message in self._loop[1]:
                    return message  # type: ignore[no-any-return]
                self._loop = None
            if not self._consumer._is_reading():
                raise NotSubscribedError("nothing to loop over: call subscribe() or assign() first")
            wait_ms = self.config.consumer_timeout_ms
            messages = await self.poll(wait_ms)
            if not messages and wait_ms is not None:
                raise StopAsyncIteration
            self._loop = (messages, iter(messages))

    def wakeup(self) -> None:
        """Ends the poll that waits, or else the next one, with :class:`WakeupError`. For any thread."""
        self._consumer.wakeup()

    async def pause(self, *partitions: Partitions) -> None:
        await self._do(lambda: self._consumer.pause(*partitions))

    async def resume(self, *partitions: Partitions) -> None:
        await self._do(lambda: self._consumer.resume(*partitions))

    async def paused(self) -> set[TopicPartition]:
        return await self._do(self._consumer.paused)

    async def commit(self, offsets: Points | None = None) -> None:
        await self._do(lambda: self._consumer.commit(offsets))

    async def committed(self, partition: TopicPartition) -> OffsetAndMetadata | None:
        return await self._do(lambda: self._consumer.committed(partition))

    async def position(self, partition: TopicPartition) -> int | None:
        return await self._do(lambda: self._consumer.position(partition))

    async def seek(self, partition: TopicPartition, offset: int | OffsetAndMetadata) -> None:
        self._leave_loop()
        await self._do(lambda: self._consumer.seek(partition, offset))

    async def seek_to_beginning(self, *partitions: Partitions) -> None:
        self._leave_loop()
        await self._do(lambda: self._consumer.seek_to_beginning(*partitions))

    async def seek_to_end(self, *partitions: Partitions) -> None:
        self._leave_loop()
        await self._do(lambda: self._consumer.seek_to_end(*partitions))

    async def seek_to_committed(self, *partitions: Partitions) -> None:
        self._leave_loop()
        await self._do(lambda: self._consumer.seek_to_committed(*partitions))

    async def seek_to_time(self, timestamp_ms: int, *partitions: Partitions) -> None:
        self._leave_loop()
        await self._do(lambda: self._consumer.seek_to_time(timestamp_ms, *partitions))

    async def lag(self) -> dict[TopicPartition, int]:
        return await self._do(lambda: self._consumer.lag())

    async def assignment(self) -> set[TopicPartition]:
        return await self._do(self._consumer.assignment)

    async def subscription(self) -> set[str]:
        return await self._do(self._consumer.subscription)

    async def topics(self) -> set[str]:
        return await self._do(self._consumer.topics)

    async def partitions_for_topic(self, topic: str) -> set[int] | None:
        return await self._do(lambda: self._consumer.partitions_for_topic(topic))

    async def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return await self._do(lambda: self._consumer.beginning_offsets(partitions))

    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return await self._do(lambda: self._consumer.end_offsets(partitions))

    async def offsets_for_times(
        self, times: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, OffsetAndTimestamp | None]:
        return await self._do(lambda: self._consumer.offsets_for_times(times))

    async def metrics(self) -> dict[str, float]:
        return await self._do(self._consumer.metrics)

    async def close(self, *, autocommit: bool = True, timeout_ms: int | None = None) -> None:
        await self._end(lambda: self._consumer.close(autocommit=autocommit, timeout_ms=timeout_ms))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end(lambda: self._consumer.__exit__(kind, error, trace))

    # Within

    async def _end(self, close: Callable[[], None]) -> None:
        guard, worker = self._consumer._guard, self._worker
        if guard.closed or guard.forked or worker is None:
            close()
            return
        try:
            await self._do(close)
        finally:
            worker.stop()

    def _submit(self, call: Callable[[], T]) -> Future[T]:
        self._consumer._guard.check()
        if self._worker is None:
            self._worker = Worker("takhin-consumer")
        return self._worker.submit(call)

    async def _do(self, call: Callable[[], T]) -> T:
        # A call under way is not torn: who cancels it only stops waiting for it.
        return await asyncio.shield(_heard(self._submit(call)))

    def __del__(self) -> None:
        if self._worker is not None:
            self._worker.stop()

    def _leave_loop(self) -> None:
        """What `async for` was not given is handed out by the next poll."""
        if self._loop is not None:
            messages, self._loop = self._loop[0], None
            given = messages.given()
            self._submit(lambda: self._consumer._give_back(messages, given))


class _Bridge(RebalanceListener):
    """Hears of rebalances in the worker's thread, and tells the application in its loop."""

    def __init__(
        self, consumer: AsyncConsumer[Any, Any], listener: AsyncRebalanceListener, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._consumer = consumer
        self._listener = listener
        self._loop = loop

    def on_partitions_assigned(self, partitions: list[TopicPartition]) -> None:
        self._tell(self._listener.on_partitions_assigned(partitions))

    def on_partitions_revoked(self, partitions: list[TopicPartition]) -> None:
        self._tell(self._listener.on_partitions_revoked(partitions))

    def on_partitions_lost(self, partitions: list[TopicPartition]) -> None:
        self._tell(self._listener.on_partitions_lost(partitions))

    def _tell(self, telling: Coroutine[Any, Any, None]) -> None:
        worker = self._consumer._worker
        if worker is not None:
            worker.wait_for(telling, self._loop)


def _heard(future: Future[T]) -> asyncio.Future[T]:
    """The same for the event loop, which shall not complain if who waited was cancelled and nobody hears the error."""
    heard = asyncio.wrap_future(future)
    heard.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    return heard
