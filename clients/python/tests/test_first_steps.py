"""Ways to use a consumer that a newcomer tries first, from the shortest loop to tuned ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from broker import Broker
from conftest import fill

from distributedlog import Admin
from distributedlog.consumer import Consumer, ConsumerConfig, Message, OffsetAndMetadata, TopicPartition

COUNT = 400


@pytest.fixture(scope="module")
def servers(broker: Broker) -> str:
    """The broker by its name, as people write it."""
    return f"localhost:{broker.port}"


@pytest.fixture
def my_topic(broker: Broker, admin: Admin, name: str) -> str:
    admin.create_topic(name, 2)
    fill(broker.address, name, COUNT)
    return name


@pytest.fixture
def consumer(servers: str, my_topic: str) -> Iterator[Consumer[bytes, bytes]]:
    made = Consumer(bootstrap_servers=servers, group_id=my_topic, auto_offset_reset="earliest")
    with made:
        made.subscribe([my_topic])
        yield made


def work_off(consumer: Consumer[Any, Any], process: Callable[[Message[Any, Any]], object], commit: bool = False) -> int:
    """The loop that all of them have in common, until nothing comes any more."""
    count = 0
    while True:
        messages = consumer.poll(timeout_ms=100)
        if not messages:
            return count
        for message in messages:
            process(message)
            count += 1
        if commit:
            consumer.commit()


@pytest.mark.parametrize("as_list", [True, False])
def test_servers_are_one_text_or_a_list(servers: str, my_topic: str, as_list: bool) -> None:
    given: Any = [servers] if as_list else servers
    consumer = Consumer(bootstrap_servers=given, group_id=my_topic, auto_commit=True, auto_offset_reset="earliest")
    consumer.subscribe([my_topic])
    seen: list[tuple[str, int, int, Any, Any]] = []
    work_off(consumer, lambda m: seen.append((m.topic, m.partition, m.offset, m.key, m.value)))
    consumer.close()
    assert len(seen) == COUNT
    assert (my_topic, 1, 0, None, b"1") in seen


def test_two_topics(servers: str, broker: Broker, admin: Admin, name: str) -> None:
    for suffix in "12":
        admin.create_topic(name + suffix)
        fill(broker.address, name + suffix, 5, partitions=1)
    with Consumer(bootstrap_servers=servers, group_id=name, auto_offset_reset="earliest") as consumer:
        consumer.subscribe([f"{name}1", f"{name}2"])
        assert work_off(consumer, lambda _: None) == 10


@pytest.mark.parametrize(
    "options",
    [
        {"auto_commit": True, "auto_commit_interval_ms": 5000},
        {"auto_commit": False},
        {"auto_commit": False, "max_poll_records": 10},
        {"max_poll_records": 5000, "fetch_min_bytes": 65536, "auto_commit_interval_ms": 10000},
        {"max_poll_records": 100, "fetch_min_bytes": 1, "fetch_max_wait_ms": 100},
    ],
)
def test_each_way_of_committing_leaves_nothing_to_do(servers: str, my_topic: str, options: dict[str, Any]) -> None:
    common: dict[str, Any] = {"bootstrap_servers": servers, "group_id": my_topic, "auto_offset_reset": "earliest"}
    with Consumer(**common, **options) as consumer:
        consumer.subscribe([my_topic])
        manual = options.get("auto_commit") is False
        # With a minimum of bytes the first answer may take fetch_max_wait_ms.
        count = 0
        while count < COUNT:
            count += work_off(consumer, lambda _: None, commit=manual)
    with Consumer(**common) as consumer:
        consumer.subscribe([my_topic])
        assert work_off(consumer, lambda _: None) == 0


def test_given_offsets(consumer: Consumer[bytes, bytes], my_topic: str) -> None:
    consumer.commit(
        {
            TopicPartition(my_topic, 0): OffsetAndMetadata(offset=100),
            TopicPartition(my_topic, 1): OffsetAndMetadata(offset=200),
        }
    )
    committed = consumer.committed(TopicPartition(my_topic, 0))
    assert committed
    assert committed.offset == 100
    assert not consumer.committed(TopicPartition("other", 0))


def test_seeks(consumer: Consumer[bytes, bytes], my_topic: str) -> None:
    partition = TopicPartition(my_topic, 0)
    consumer.pause(TopicPartition(my_topic, 1))
    consumer.seek(partition, 100)
    assert consumer.poll(timeout_ms=1000)[0].offset == 100
    consumer.seek_to_beginning()
    assert consumer.poll(timeout_ms=1000)[0].offset == 0
    consumer.seek_to_end()
    assert consumer.poll(timeout_ms=0) == []
    assert consumer.position(partition) == COUNT // 2


def test_assignment_and_subscription(consumer: Consumer[bytes, bytes], my_topic: str) -> None:
    assert sorted((tp.topic, tp.partition) for tp in consumer.assignment()) == [(my_topic, 0), (my_topic, 1)]
    assert consumer.subscription() == {my_topic}


def test_a_whole_configuration(servers: str, my_topic: str) -> None:
    config = ConsumerConfig(
        bootstrap_servers=servers,
        group_id=my_topic,
        auto_commit=True,
        auto_commit_interval_ms=5000,
        auto_offset_reset="latest",
        fetch_min_bytes=1,
        fetch_max_wait_ms=500,
        max_poll_records=500,
    )
    with Consumer(config=config) as consumer:
        assert consumer.config is config
        consumer.subscribe([my_topic])
        assert work_off(consumer, lambda _: None) == 0, "latest: only what comes from now on"


def test_without_a_subscription_a_loop_runs_and_is_warned(servers: str, my_topic: str) -> None:
    with (
        Consumer(bootstrap_servers=servers, group_id=my_topic, auto_commit=False) as consumer,
        pytest.warns(RuntimeWarning, match=r"poll\(\) without subscribe\(\) or assign\(\)"),
    ):
        assert consumer.poll(timeout_ms=10) == []
        consumer.commit()


def test_a_message_that_fails_does_not_stop_the_loop(consumer: Consumer[bytes, bytes]) -> None:
    failed = []

    def process(message: Message[bytes, bytes]) -> None:
        try:
            int(message.value or b"") // (message.offset % 50)
        except ZeroDivisionError:
            failed.append(message.offset)

    assert work_off(consumer, process, commit=True) == COUNT
    assert len(failed) == 8


@pytest.mark.parametrize("commit_first", [True, False])
def test_when_to_commit_decides_what_a_crash_repeats(servers: str, my_topic: str, commit_first: bool) -> None:
    common: dict[str, Any] = {"bootstrap_servers": servers, "group_id": my_topic, "auto_offset_reset": "earliest"}

    def crash(consumer: Consumer[bytes, bytes]) -> None:
        messages = consumer.poll(timeout_ms=1000)
        if commit_first:
            consumer.commit()
        for message in messages:
            if message.offset == 150:
                raise InterruptedError

    with pytest.raises(InterruptedError), Consumer(**common, auto_commit=False) as consumer:
        consumer.subscribe([my_topic])
        crash(consumer)
    with Consumer(**common) as consumer:
        consumer.subscribe([my_topic])
        assert work_off(consumer, lambda _: None) == (0 if commit_first else COUNT)
