"""Several consumers of one group: they share, hand over, and do each record once."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from typing import Any

import pytest
from broker import Broker
from conftest import fill

from distributedlog import Admin, Consumer, RebalanceListener, TopicPartition


def member(broker: Broker, group: str, **options: Any) -> Consumer[bytes, bytes]:
    settings: dict[str, Any] = {"auto_offset_reset": "earliest", **options}
    return Consumer(bootstrap_servers=broker.address, group_id=group, **settings)


class Listener(RebalanceListener):
    def __init__(self) -> None:
        self.heard: list[tuple[str, list[TopicPartition]]] = []

    def on_partitions_assigned(self, partitions: list[TopicPartition]) -> None:
        self.heard.append(("assigned", partitions))

    def on_partitions_revoked(self, partitions: list[TopicPartition]) -> None:
        self.heard.append(("revoked", partitions))


def test_members_share_and_hand_over(broker: Broker, admin: Admin, name: str) -> None:
    admin.create_topic(name, 4)
    first_heard, second_heard = Listener(), Listener()
    everything = [TopicPartition(name, number) for number in range(4)]
    with member(broker, name) as first:
        first.subscribe(name, listener=first_heard)
        assert first_heard.heard == [("assigned", everything)]
        with member(broker, name) as second:
            second.subscribe(name, listener=second_heard)
            while (len(first.assignment()), len(second.assignment())) != (2, 2):
                first.poll(timeout_ms=50)
                second.poll(timeout_ms=50)
            assert first.assignment() | second.assignment() == set(everything)
            given = sorted(second.assignment())
            assert first_heard.heard[1:] == [("revoked", given)]
            assert sorted(p for what, found in second_heard.heard if what == "assigned" for p in found) == given
        while len(first.assignment()) < 4:
            first.poll(timeout_ms=50)
        assert sorted(first_heard.heard[-1][1]) == given
        assert first.metrics()["rebalances_total"] == 1


def test_what_is_processed_is_committed_before_it_is_handed_over(broker: Broker, admin: Admin, name: str) -> None:
    admin.create_topic(name, 2)
    fill(broker.address, name, 20)
    with member(broker, name) as first, member(broker, name) as second:
        first.subscribe(name)
        assert len(first.poll()) == 20
        second.subscribe(name)
        found: list[object] = []
        while len(second.assignment()) < 1:
            first.poll(timeout_ms=50)
            found += second.poll(timeout_ms=50)
        assert found + second.poll(timeout_ms=100) == [], "all of it was processed by the first"


def test_a_listener_that_fails_costs_one_poll_and_no_more(broker: Broker, admin: Admin, name: str) -> None:
    admin.create_topic(name, 2)
    fill(broker.address, name, 4)

    class Failing(RebalanceListener):
        def on_partitions_revoked(self, partitions: list[TopicPartition]) -> None:
            raise LookupError(len(partitions))

    with member(broker, name) as first, member(broker, name) as second:
        first.subscribe(name, listener=Failing())
        second.subscribe(name)
        with pytest.raises(LookupError):
            while True:
                first.poll(timeout_ms=50)
        assert len(first.assignment()) == 1
        while not second.assignment():
            first.poll(timeout_ms=50)
            second.poll(timeout_ms=50)


def test_a_listener_may_seek_commit_and_ask(broker: Broker, admin: Admin, name: str) -> None:
    admin.create_topic(name, 2)
    fill(broker.address, name, 20)
    consumer = member(broker, name, auto_commit=False)

    class Rewinding(RebalanceListener):
        def on_partitions_assigned(self, partitions: list[TopicPartition]) -> None:
            for partition in partitions:
                consumer.seek(partition, 6)

        def on_partitions_revoked(self, partitions: list[TopicPartition]) -> None:
            consumer.commit({partition: consumer.position(partition) or 0 for partition in partitions})

    with consumer, member(broker, name, auto_commit=False) as second:
        consumer.subscribe(name, listener=Rewinding())
        assert sorted(message.offset for message in consumer.poll()) == [6, 6, 7, 7, 8, 8, 9, 9]
        second.subscribe(name)
        while not second.assignment():
            consumer.poll(timeout_ms=50)
            second.poll(timeout_ms=50)
        assert second.position(*second.assignment()) == 10


def test_a_session_is_kept_while_processing_is_slow(broker: Broker, admin: Admin, name: str) -> None:
    admin.create_topic(name)
    fill(broker.address, name, 2, partitions=1)
    with member(broker, name, session_timeout_ms=1_000) as consumer:
        consumer.subscribe(name)
        assert len(consumer.poll(max_records=1)) == 1
        # Longer than the session may be silent.
        time.sleep(2.5)
        assert len(consumer.poll(max_records=1)) == 1
        consumer.commit()
        figures = consumer.metrics()
        assert figures["rejoins_total"] == 0
        assert figures["heartbeats_total"] > 2


def test_members_that_come_and_go_do_each_record_once(broker: Broker, admin: Admin, name: str) -> None:
    """Each closes properly, and every second one has slow hands: no record is lost, and none is done twice."""
    total = 2_000
    admin.create_topic(name, 6)
    done: Counter[tuple[int, int]] = Counter()
    lock = threading.Lock()

    def work(seed: int) -> None:
        draw = random.Random(seed)
        while sum(done.values()) < total:
            with member(broker, name, max_poll_records=draw.randrange(5, 50), auto_commit_interval_ms=50) as consumer:
                consumer.subscribe(name)
                for _ in range(draw.randrange(2, 12)):
                    for message in consumer.poll(timeout_ms=100):
                        with lock:
                            done[message.partition, message.offset] += 1
                    time.sleep(0.02 * (seed % 2))

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for worker in workers:
        worker.start()
    for part in range(10):
        fill(broker.address, name, total // 10, partitions=5 + part % 2)
        time.sleep(0.05)
    for worker in workers:
        worker.join()
    assert len(done) == total
    assert set(done.values()) == {1}
