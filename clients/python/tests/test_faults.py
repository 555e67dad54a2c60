"""Connections that break, brokers and workers that die: nothing is lost, and what was acknowledged is not doubled."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

import pytest
from broker import Broker
from conftest import fill
from cutting_proxy import CuttingProxy

from distributedlog import Admin, Consumer, Message, Producer, TopicPartition
from distributedlog.errors import CommitFailedError

PARTITIONS = 3


class Reading:
    """What one consumer was given, in its order."""

    def __init__(self) -> None:
        self.offsets: dict[TopicPartition, list[int]] = defaultdict(list)
        self.count = 0

    def take(self, messages: list[Message[bytes, bytes]]) -> None:
        for message in messages:
            self.offsets[message.topic_partition].append(message.offset)
        self.count += len(messages)

    def check(self, count: int) -> None:
        """Each record was given once, in order."""
        assert self.count == count
        for offsets in self.offsets.values():
            assert offsets == list(range(len(offsets)))


def make(address: str, topic: str) -> None:
    with Admin(bootstrap_servers=address) as admin:
        admin.create_topic(topic, PARTITIONS)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_consumer_behind_a_connection_that_breaks_gets_each_record_once(broker: Broker, name: str, seed: int) -> None:
    make(broker.address, name)
    fill(broker.address, name, 3_000, PARTITIONS)
    proxy = CuttingProxy(broker.port, seed, mean_bytes=20_000)
    reading, draw = Reading(), random.Random(seed)
    with Consumer(
        bootstrap_servers=proxy.address,
        group_id=name,
        auto_offset_reset="earliest",
        auto_commit=False,
        retry_backoff_ms=1,
    ) as consumer:
        consumer.subscribe(name)
        while reading.count < 3_000:
            reading.take(consumer.poll(timeout_ms=200, max_records=draw.randrange(1, 100)))
            if draw.random() < 0.3:
                consumer.commit()
        consumer.commit()
    proxy.close()
    reading.check(3_000)
    assert proxy.cuts > 10
    with Admin(bootstrap_servers=broker.address) as admin:
        assert [held.lag for held in admin.group(name).partitions] == [0] * PARTITIONS


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_producer_behind_a_connection_that_breaks_writes_each_record_once(
    broker: Broker, name: str, seed: int
) -> None:
    make(broker.address, name)
    proxy = CuttingProxy(broker.port, seed, mean_bytes=10_000)
    with Producer(bootstrap_servers=proxy.address, batch_size=2_000, retry_backoff_ms=1) as producer:
        futures = [producer.send(name, str(number).encode(), str(number % 50).encode()) for number in range(3_000)]
        written = [future.result(60) for future in futures]
    proxy.close()
    assert proxy.cuts > 10
    assert len({(place.partition, place.offset) for place in written}) == 3_000
    by_partition = defaultdict(list)
    with Consumer(bootstrap_servers=broker.address, auto_offset_reset="earliest", consumer_timeout_ms=0) as consumer:
        consumer.subscribe(name)
        for message in consumer:
            by_partition[message.partition].append(int(message.value or b""))
    assert sorted(number for numbers in by_partition.values() for number in numbers) == list(range(3_000))
    assert all(numbers == sorted(numbers) for numbers in by_partition.values())


def test_reading_and_writing_go_on_through_crashes_of_the_broker(own_broker: Broker) -> None:
    make(own_broker.address, "t")
    done = threading.Event()
    sent: list[int] = []

    def write() -> None:
        with Producer(bootstrap_servers=own_broker.address, retry_backoff_ms=10) as producer:
            while not done.is_set():
                producer.send("t", str(len(sent)).encode(), partition=len(sent) % PARTITIONS)
                sent.append(0)
                time.sleep(0.000_5)

    reading = Reading()
    values = defaultdict(list)
    writer = threading.Thread(target=write)
    with Consumer(
        bootstrap_servers=own_broker.address,
        group_id="g",
        auto_offset_reset="earliest",
        auto_commit_interval_ms=100,
        retry_backoff_ms=10,
    ) as consumer:
        consumer.subscribe("t")
        writer.start()
        for crash in range(5):
            goal = reading.count + 300
            while reading.count < goal:
                messages = consumer.poll(timeout_ms=500)
                reading.take(messages)
                for message in messages:
                    values[message.partition].append(int(message.value or b""))
            own_broker.kill() if crash % 2 == 0 else own_broker.stop()
            consumer.poll(timeout_ms=50)
            own_broker.start()
        done.set()
        writer.join()
        while reading.count < len(sent):
            messages = consumer.poll(timeout_ms=500)
            reading.take(messages)
            for message in messages:
                values[message.partition].append(int(message.value or b""))
        assert consumer.metrics()["retries_total"] > 0
    reading.check(len(sent))
    for partition, numbers in values.items():
        assert numbers == list(range(partition, len(sent), PARTITIONS))


def test_a_poll_that_waits_survives_a_restart_of_the_broker(own_broker: Broker) -> None:
    make(own_broker.address, "t")
    with Consumer(bootstrap_servers=own_broker.address, group_id="g") as consumer:
        consumer.subscribe("t")

        def restart() -> None:
            own_broker.stop()
            own_broker.start()
            fill(own_broker.address, "t", 1)

        restarting = threading.Timer(0.2, restart)
        restarting.start()
        assert [message.value for message in consumer.poll(timeout_ms=60_000)] == [b"0"]
        restarting.join()
        assert consumer.metrics()["rejoins_total"] == 0


WORKER = """
import sys
from distributedlog import Consumer
address, topic, log = sys.argv[1:]
out = open(log, "a", buffering=1)
with Consumer(
    bootstrap_servers=address, group_id=topic, auto_offset_reset="earliest", auto_commit=False,
    session_timeout_ms=1000, max_poll_records=20, consumer_timeout_ms=3000,
) as consumer:
    consumer.subscribe(topic)
    while True:
        for message in consumer.poll(timeout_ms=500):
            out.write(f"got {message.partition} {message.offset}\\n")
        asked = {p: consumer.position(p) for p in consumer.assignment()}
        consumer.commit()
        for partition, offset in asked.items():
            out.write(f"committed {partition.partition} {offset}\\n")
"""


def test_what_a_killed_worker_committed_does_not_come_again_and_the_rest_does(
    broker: Broker, name: str, tmp_path: Path
) -> None:
    make(broker.address, name)
    fill(broker.address, name, 1_500, PARTITIONS)
    log, draw = tmp_path / "log", random.Random(7)
    got: set[tuple[int, int]] = set()
    rounds = 0
    while len(got) < 1_500:
        rounds += 1
        log.touch()
        before = len(log.read_text().splitlines())
        command = [sys.executable, "-c", WORKER, broker.address, name, str(log)]
        with subprocess.Popen(command) as worker:
            wanted = before + draw.randrange(50, 400)
            while worker.poll() is None and len(log.read_text().splitlines()) < wanted and len(got) < 1_500:
                got.update(_got(log.read_text()))
                time.sleep(0.005)
            worker.kill()
        got.update(_got(log.read_text()))
    assert rounds > 2
    committed: dict[int, int] = defaultdict(int)
    for line in log.read_text().splitlines():
        what, partition, offset = line.split()
        if what == "committed":
            committed[int(partition)] = int(offset)
        else:
            assert int(offset) >= committed[int(partition)], "a committed record came again"
    assert got == {(partition, offset) for partition in range(PARTITIONS) for offset in range(500)}


def _got(log: str) -> set[tuple[int, int]]:
    lines = (line.split() for line in log.splitlines(keepends=True) if line.endswith("\n"))
    return {(int(partition), int(offset)) for what, partition, offset in lines if what == "got"}


def test_a_session_that_ended_is_begun_anew_and_its_commits_are_refused(own_broker: Broker) -> None:
    make(own_broker.address, "t")
    fill(own_broker.address, "t", 9, PARTITIONS)
    with Consumer(
        bootstrap_servers=own_broker.address,
        group_id="g",
        auto_offset_reset="earliest",
        auto_commit=False,
        session_timeout_ms=1_000,
        heartbeat_interval_ms=1_000,
    ) as consumer:
        consumer.subscribe("t")
        assert len(consumer.poll()) == 9
        _expire(own_broker, consumer)
        with pytest.raises(CommitFailedError, match="come again"):
            consumer.commit()
        assert len(consumer.poll(timeout_ms=10_000)) == 9, "nothing was committed, so all comes again"
        assert consumer.metrics()["rejoins_total"] == 1
        consumer.commit()
        _expire(own_broker, consumer)
        fill(own_broker.address, "t", 3, PARTITIONS)
        assert len(consumer.poll(timeout_ms=10_000)) == 3


def test_a_consumer_that_shares_with_nobody_goes_on_after_its_session_ended(own_broker: Broker) -> None:
    make(own_broker.address, "t")
    fill(own_broker.address, "t", 9, PARTITIONS)
    for group, hand in ((None, False), ("g", True)):
        consumer = Consumer(
            bootstrap_servers=own_broker.address, group_id=group, auto_offset_reset="earliest", auto_commit=False
        )
        with consumer:
            if hand:
                consumer.assign(TopicPartition("t", number) for number in range(PARTITIONS))
            else:
                consumer.subscribe("t")
            consumer.pause(TopicPartition("t", 2))
            assert len(consumer.poll()) == 6
            _expire(own_broker, consumer)
            assert consumer.poll(timeout_ms=100) == []
            assert consumer.paused() == {TopicPartition("t", 2)}
            consumer.resume()
            assert len(consumer.poll()) == 3


def _expire(broker: Broker, consumer: Consumer[bytes, bytes]) -> None:
    """Has the broker remove the consumer, as if it had been silent."""
    with Admin(bootstrap_servers=broker.address) as admin:
        admin._calls.call("DELETE", consumer._membership.path)
