"""How clients end, and who may use them."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest
from broker import Broker
from conftest import fill

from distributedlog import Admin, Consumer, Producer, TopicPartition, WakeupError
from distributedlog.errors import (
    BrokerUnavailableError,
    ClosedError,
    ConcurrentUseError,
    ForkedError,
    UnknownGroupError,
)


def members(admin: Admin, group: str) -> int:
    try:
        return len(admin.group(group).members)
    except UnknownGroupError:
        # A group without offsets goes with its last member.
        return 0


def test_a_client_that_is_closed_says_so(broker: Broker, topic: str) -> None:
    consumer = Consumer(bootstrap_servers=broker.address, group_id=topic)
    consumer.subscribe(topic)
    consumer.close()
    consumer.close()
    producer = Producer(bootstrap_servers=broker.address)
    producer.close()
    producer.close()
    admin = Admin(bootstrap_servers=broker.address)
    admin.close()
    admin.close()
    for use in (consumer.poll, consumer.commit, consumer.__enter__, lambda: producer.send(topic), admin.topics):
        with pytest.raises(ClosedError, match="is closed: make a new one"):
            use()


def test_a_consumer_that_is_closed_leaves_its_group_at_once(broker: Broker, admin: Admin, topic: str) -> None:
    with Consumer(bootstrap_servers=broker.address, group_id=topic) as consumer:
        consumer.subscribe(topic)
        assert members(admin, topic) == 1
    assert members(admin, topic) == 0
    assert not [thread for thread in threading.enumerate() if thread.name == "takhin-keeper" and consumer_is(thread)]


def consumer_is(thread: threading.Thread) -> bool:
    thread.join(10)
    return thread.is_alive()


def test_a_forgotten_consumer_warns_and_is_left_to_expire(broker: Broker, admin: Admin, topic: str) -> None:
    consumer = Consumer(bootstrap_servers=broker.address, group_id=topic, session_timeout_ms=1_000)
    consumer.subscribe(topic)
    with pytest.warns(ResourceWarning, match="a consumer was not closed"):
        del consumer
        gc.collect()
    while members(admin, topic):
        time.sleep(0.05)


def test_a_consumer_that_never_read_needs_no_close() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Consumer(group_id="g")
        gc.collect()


FORGETFUL = """
import sys
from distributedlog import Consumer, Producer
address, topic, after = sys.argv[1:]
producer = Producer(bootstrap_servers=address, linger_ms=1000)
consumer = Consumer(bootstrap_servers=address, group_id=topic, auto_offset_reset="earliest")
consumer.subscribe(topic)
consumer.poll(max_records=2)
consumer.poll(max_records=1)
producer.send(topic, b"last")
if after == "raise":
    raise KeyboardInterrupt
"""


@pytest.mark.parametrize("after", ["return", "raise"])
def test_what_is_open_at_the_interpreters_end_is_closed(broker: Broker, admin: Admin, topic: str, after: str) -> None:
    fill(broker.address, topic, 4)
    command = [sys.executable, "-W", "always", "-c", FORGETFUL, broker.address, topic, after]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode != 0) == (after == "raise"), ended.stderr
    assert ended.stderr.count("was not closed before the end") == 2
    assert members(admin, topic) == 0
    committed = sum(held.committed or 0 for held in admin.group(topic).partitions)
    assert committed == 2, "what the last poll returned is not known to be processed"
    assert sum(admin.topic(topic).end_offsets) == 5, "what was sent is written"


def test_a_poll_can_be_woken_up_from_another_thread(broker: Broker, topic: str) -> None:
    with Consumer(bootstrap_servers=broker.address, group_id=topic) as consumer:
        consumer.subscribe(topic)
        for _ in range(3):
            waker = threading.Timer(0.1, consumer.wakeup)
            waker.start()
            with pytest.raises(WakeupError):
                consumer.poll(timeout_ms=None)
            waker.join()
        consumer.wakeup()
        with pytest.raises(WakeupError):
            next(consumer)
        fill(broker.address, topic, 10)
        assert len(consumer.poll(timeout_ms=5_000)) in range(1, 11)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer's signal")
def test_a_poll_can_be_woken_up_by_a_signal(broker: Broker, topic: str) -> None:
    with Consumer(bootstrap_servers=broker.address, group_id=topic) as consumer:
        consumer.subscribe(topic)
        former = signal.signal(signal.SIGALRM, lambda *_: consumer.wakeup())
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            with pytest.raises(WakeupError):
                consumer.poll(timeout_ms=None)
        finally:
            signal.signal(signal.SIGALRM, former)


def test_two_threads_may_not_use_one_consumer_at_a_time(broker: Broker, topic: str) -> None:
    with Consumer(bootstrap_servers=broker.address, group_id=topic) as consumer:
        consumer.subscribe(topic)
        refused: list[Exception] = []

        def use() -> None:
            while not refused:
                try:
                    consumer.poll(timeout_ms=20)
                except ConcurrentUseError as error:
                    refused.append(error)

        intruder = threading.Thread(target=use)
        intruder.start()
        use()
        intruder.join()
        assert "one thread at a time" in str(refused[0])


def _use_in_child(consumer: Consumer[bytes, bytes], producer: Producer[bytes, bytes], topic: str) -> None:
    refused = 0
    for use in (consumer.poll, lambda: producer.send(topic)):
        try:
            use()
        except ForkedError:
            refused += 1
    consumer.close()
    producer.close()
    os._exit(refused)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_forked_process_can_not_use_or_harm_its_parents_clients(broker: Broker, admin: Admin, topic: str) -> None:
    fill(broker.address, topic, 4)
    reading = Consumer(bootstrap_servers=broker.address, group_id=topic, auto_offset_reset="earliest")
    with reading as consumer, Producer(bootstrap_servers=broker.address) as producer:
        consumer.subscribe(topic)
        producer.send(topic, partition=0).result(10)
        child = multiprocessing.get_context("fork").Process(target=_use_in_child, args=(consumer, producer, topic))
        child.start()
        child.join()
        assert child.exitcode == 2
        assert members(admin, topic) == 1
        assert len(consumer.poll()) == 5
        producer.send(topic, partition=0).result(10)


def test_no_broker_is_an_error_that_says_where_it_looked() -> None:
    consumer = Consumer(bootstrap_servers=["127.0.0.1:1", "127.0.0.1:2"], group_id="g", api_timeout_ms=400)
    with pytest.raises(BrokerUnavailableError, match=r"127.0.0.1:[12].*refused.*Is one running") as refused:
        consumer.subscribe("t")
    assert refused.value.retryable
    assert isinstance(refused.value, ConnectionError)


def test_another_address_is_tried_if_one_does_not_answer(broker: Broker, topic: str) -> None:
    with Consumer(bootstrap_servers=["127.0.0.1:1", broker.address], group_id=topic) as consumer:
        consumer.subscribe(topic)
        assert consumer.assignment() == {TopicPartition(topic, 0), TopicPartition(topic, 1)}


def test_the_package_is_typed() -> None:
    import distributedlog
    import takhin

    assert takhin.Consumer is distributedlog.Consumer
    for package in (distributedlog, takhin):
        assert (Path(str(package.__file__)).parent / "py.typed").exists()
