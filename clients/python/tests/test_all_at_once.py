"""Everything that can go wrong, at once: members come and go, connections break, and the broker is killed."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, defaultdict

import pytest
from broker import Broker
from cutting_proxy import CuttingProxy

from distributedlog import Admin, Consumer, Producer
from distributedlog.errors import CommitFailedError

RECORDS, PARTITIONS, WORKERS, CRASHES = 3_000, 6, 3, 4


class World:
    """A topic, what was read of it, and what was acknowledged to be committed."""

    def __init__(self, address: str, seed: int) -> None:
        self.address = address
        self.seed = seed
        self.got: Counter[tuple[int, int]] = Counter()
        self.again: list[tuple[int, int]] = []
        self._committed: defaultdict[int, int] = defaultdict(int)
        self._lock = threading.Lock()

    @property
    def is_done(self) -> bool:
        return len(self.got) == RECORDS

    def write(self) -> None:
        with Producer(bootstrap_servers=self.address, batch_size=2_000, retry_backoff_ms=5) as producer:
            for number in range(RECORDS):
                producer.send("t", partition=number % PARTITIONS)
                time.sleep(0.001)

    def work(self, worker: int) -> None:
        draw = random.Random(f"{self.seed} {worker}")
        while not self.is_done:
            with Consumer(
                bootstrap_servers=self.address,
                group_id="g",
                auto_offset_reset="earliest",
                auto_commit=False,
                max_poll_records=30,
                session_timeout_ms=3_000,
                retry_backoff_ms=5,
                # However long the broker takes to start again.
                api_timeout_ms=600_000,
            ) as consumer:
                consumer.subscribe("t")
                for _ in range(draw.randrange(5, 40)):
                    if not self.is_done:
                        self._poll(consumer, commit=draw.random() < 0.7)

    def _poll(self, consumer: Consumer[bytes, bytes], *, commit: bool) -> None:
        messages = consumer.poll(timeout_ms=100)
        with self._lock:
            for message in messages:
                self.got[message.partition, message.offset] += 1
                if message.offset < self._committed[message.partition]:
                    self.again.append((message.partition, message.offset))
        if not commit:
            return
        ends = messages.ends()
        try:
            consumer.commit(ends)
        except CommitFailedError:
            return
        with self._lock:
            for partition, end in ends.items():
                self._committed[partition.partition] = max(end, self._committed[partition.partition])


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_lost_and_nothing_comes_again_that_was_committed(own_broker: Broker, seed: int) -> None:
    proxy = CuttingProxy(own_broker.port, seed, mean_bytes=30_000)
    world = World(proxy.address, seed)
    with Admin(bootstrap_servers=own_broker.address) as admin:
        admin.create_topic("t", PARTITIONS)
    threads = [threading.Thread(target=world.work, args=(worker,)) for worker in range(WORKERS)]
    threads.append(threading.Thread(target=world.write))
    for thread in threads:
        thread.start()
    for _ in range(CRASHES):
        time.sleep(0.7)
        own_broker.kill()
        own_broker.start()
    for thread in threads:
        thread.join()
    proxy.close()
    assert set(world.got) == {(number % PARTITIONS, number // PARTITIONS) for number in range(RECORDS)}
    assert world.again == []
    assert proxy.cuts > 5
