"""The asyncio twins, against a broker."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Coroutine
from typing import Any

import pytest
from broker import Broker
from conftest import fill

from distributedlog import (
    Admin,
    AsyncConsumer,
    AsyncProducer,
    AsyncRebalanceListener,
    OffsetAndMetadata,
    TopicPartition,
    WakeupError,
)
from distributedlog.errors import BufferFullError, ClosedError, NotSubscribedError, UnknownTopicError


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


def reader(broker: Broker, group: str, **options: Any) -> AsyncConsumer[bytes, bytes]:
    settings = {"auto_offset_reset": "earliest", **options}
    return AsyncConsumer(bootstrap_servers=broker.address, group_id=group, **settings)


def test_sending_and_reading(broker: Broker, topic: str) -> None:
    async def story() -> None:
        async with AsyncProducer(bootstrap_servers=broker.address) as producer:
            futures = [await producer.send(topic, str(number).encode(), partition=0) for number in range(100)]
            assert [written.offset for written in await asyncio.gather(*futures)] == list(range(100))
            assert (await producer.send_and_wait(topic, b"x", partition=1)).offset == 0
            assert await producer.partitions_for(topic) == {0, 1}
            await producer.flush()
            assert producer.metrics()["records_sent_total"] == 101
            with pytest.raises(UnknownTopicError):
                await producer.send("no-such-topic")
        with pytest.raises(ClosedError):
            await producer.send(topic)
        async with reader(broker, topic) as consumer:
            await consumer.subscribe(topic)
            assert len(await consumer.poll(max_records=40)) == 40
            seen = 0
            async for _ in consumer:
                seen += 1
                if seen == 30:
                    await consumer.commit()
                    break
            committed = [await consumer.committed(partition) for partition in await consumer.assignment()]
            assert sum(at.offset for at in committed if at) == 70
            assert len(await consumer.poll()) == 31, "what the loop did not take comes next"

    run(story())


def test_all_that_a_consumer_can(broker: Broker, topic: str) -> None:
    fill(broker.address, topic, 20)
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)

    async def story() -> None:
        async with reader(broker, topic, consumer_timeout_ms=50) as consumer:
            with pytest.raises(NotSubscribedError):
                await consumer.__anext__()
            await consumer.assign([first, second])
            await consumer.seek(first, 5)
            await consumer.seek_to_end(second)
            assert [message.offset async for message in consumer] == [5, 6, 7, 8, 9]
            await consumer.commit({first: OffsetAndMetadata(7, "x")})
            await consumer.seek_to_committed(first)
            assert await consumer.position(first) == 7
            await consumer.seek_to_beginning()
            await consumer.pause(first)
            assert await consumer.paused() == {first}
            assert len(await consumer.poll()) == 10
            await consumer.resume()
            await consumer.seek_to_time(0, first)
            assert await consumer.lag() == {first: 10, second: 0}
            assert await consumer.subscription() == set()
            assert topic in await consumer.topics()
            assert await consumer.partitions_for_topic(topic) == {0, 1}
            assert await consumer.beginning_offsets([first]) == {first: 0}
            assert await consumer.end_offsets([first]) == {first: 10}
            assert (await consumer.offsets_for_times({first: 0}))[first] is not None
            assert (await consumer.metrics())["polls_total"] > 0
            await consumer.unsubscribe()

    run(story())


def test_a_cancelled_poll_loses_nothing(broker: Broker, topic: str) -> None:
    async def story() -> None:
        async with reader(broker, topic) as consumer:
            await consumer.subscribe(topic)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(consumer.poll(timeout_ms=None), 0.1)
            seen: list[int] = []
            for number in range(30):
                writing = asyncio.get_running_loop().run_in_executor(None, fill, broker.address, topic, 1, 1)
                try:
                    found = await asyncio.wait_for(consumer.poll(timeout_ms=1_000), 0.001 * (number % 10))
                    seen += [message.offset for message in found]
                except asyncio.TimeoutError:
                    pass
                await writing
            while len(seen) < 30:
                seen += [message.offset for message in await consumer.poll()]
            assert seen == list(range(30))

    run(story())


def test_the_event_loop_goes_on_while_a_poll_waits(broker: Broker, topic: str) -> None:
    async def story() -> None:
        async with reader(broker, topic) as consumer:
            await consumer.subscribe(topic)
            polling = asyncio.create_task(consumer.poll(timeout_ms=None))
            for _ in range(20):
                await asyncio.sleep(0.01)
            assert not polling.done()
            consumer.wakeup()
            with pytest.raises(WakeupError):
                await polling

    run(story())


def test_a_listener_may_commit(broker: Broker, admin: Admin, name: str) -> None:
    admin.create_topic(name, 2)
    fill(broker.address, name, 20)

    async def story() -> None:
        async with reader(broker, name, auto_commit=False) as first, reader(broker, name) as second:

            class Committing(AsyncRebalanceListener):
                async def on_partitions_revoked(self, partitions: list[TopicPartition]) -> None:
                    await asyncio.sleep(0.01)
                    await first.commit({partition: await first.position(partition) or 0 for partition in partitions})

            await first.subscribe(name, listener=Committing())
            assert len(await first.poll()) == 20
            await second.subscribe(name)
            while not await second.assignment():
                await asyncio.gather(first.poll(timeout_ms=50), second.poll(timeout_ms=50))
            assert await second.position(*await second.assignment()) == 10

    run(story())


def test_a_full_buffer_holds_back_the_sender_and_not_the_loop(broker: Broker, topic: str) -> None:
    async def story() -> None:
        options: dict[str, Any] = {"buffer_memory": 2_000, "linger_ms": 30}
        async with AsyncProducer(bootstrap_servers=broker.address, **options) as producer:
            futures = [await producer.send(topic, b"x" * 500, partition=0) for _ in range(50)]
            assert len(await asyncio.gather(*futures)) == 50
        async with AsyncProducer(bootstrap_servers=broker.address, **options, max_block_ms=0) as producer:
            await producer.partitions_for(topic)
            taken = await producer.send(topic, b"x" * 1_900, partition=0)
            with pytest.raises(BufferFullError):
                for _ in range(1_000):
                    await producer.send(topic, b"x" * 1_900, partition=0)
            await taken

    run(story())


def test_an_exception_closes_without_committing_the_last_messages(broker: Broker, admin: Admin, topic: str) -> None:
    fill(broker.address, topic, 10)

    async def story() -> None:
        async with reader(broker, topic) as consumer:
            await consumer.subscribe(topic)
            await consumer.poll(max_records=4)
            await consumer.poll(max_records=4)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(story())
    assert sum(held.committed or 0 for held in admin.group(topic).partitions) == 4


def test_a_forgotten_consumer_leaves_no_thread(broker: Broker, topic: str) -> None:
    async def story() -> None:
        consumer = reader(broker, topic)
        await consumer.subscribe(topic)

    with pytest.warns(ResourceWarning, match="a consumer was not closed"):
        run(story())
        gc.collect()
    while any(thread.name.startswith("takhin-consumer") for thread in threading.enumerate()):
        time.sleep(0.01)
