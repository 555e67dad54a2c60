"""The producer for asyncio: the same producer, whose threads send while the event loop goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Generic, TypeVar, overload

from ..records import RecordMetadata
from .config import ProducerConfig, ProducerOptions
from .producer import Producer

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

__all__ = ["AsyncProducer"]

K = TypeVar("K")
V = TypeVar("V")


class AsyncProducer(Generic[K, V]):
    """Writes records. What each method does is told at :class:`Producer`. Use it in one event loop."""

    @overload
    def __init__(self: AsyncProducer[bytes, bytes], **options: Unpack[ProducerOptions]) -> None: ...
    @overload
    def __init__(self: AsyncProducer[Any, Any], *, config: ProducerConfig) -> None: ...
    @overload
    def __init__(
        self: AsyncProducer[bytes, V], *, value_serializer: Callable[[V], bytes], **options: Unpack[ProducerOptions]
    ) -> None: ...
    @overload
    def __init__(
        self: AsyncProducer[K, bytes], *, key_serializer: Callable[[K], bytes], **options: Unpack[ProducerOptions]
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
        make: Any = Producer
        self._producer: Producer[K, V] = make(config=config, **options)
        self.config = self._producer.config

    async def send(
        self,
        topic: str,
        value: V | None = None,
        key: K | None = None,
        headers: Iterable[tuple[str, bytes]] | Mapping[str, bytes | str] | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> asyncio.Future[RecordMetadata]:
        """Takes a record; waits only while the topic is not known yet, or the buffer is full.

        The future that it gives is to be awaited in turn, for the acknowledgement. If ``send`` itself is cancelled
        while it waits, the record may be sent or not.
        """
        record = (topic, value, key, headers, partition, timestamp_ms)
        delivery = self._producer._send_now(*record)
        if delivery is None:
            delivery = await asyncio.get_running_loop().run_in_executor(None, lambda: self._producer.send(*record))
        return asyncio.wrap_future(delivery)

    async def send_and_wait(
        self,
        topic: str,
        value: V | None = None,
        key: K | None = None,
        headers: Iterable[tuple[str, bytes]] | Mapping[str, bytes | str] | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> RecordMetadata:
        """Sends a record, and returns when it is acknowledged."""
        return await (await self.send(topic, value, key, headers, partition, timestamp_ms))

    async def flush(self, timeout_ms: int | None = None) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self._producer.flush, timeout_ms)

    async def partitions_for(self, topic: str) -> set[int]:
        return await asyncio.get_running_loop().run_in_executor(None, self._producer.partitions_for, topic)

    def metrics(self) -> dict[str, float]:
        return self._producer.metrics()

    async def close(self, timeout_ms: int | None = None) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self._producer.close, timeout_ms)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        await self.close()
