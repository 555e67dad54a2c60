"""How many records per second pass through this library, beside bare HTTP requests that carry the same.

    TAKHIN_BIN=target/release/takhin python clients/python/bench/throughput.py

Bare is `http.client` and `json` from the standard library, 500 records a request, and nothing else: no futures, no
batches to fill, no positions. Each figure is the best of three rounds; the CPU is this process's own.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from broker import Broker

from distributedlog import Admin, AsyncConsumer, Consumer, Producer, TopicPartition

ROUNDS = 3
BATCH = 500


class Bare:
    """A connection and nothing else."""

    def __init__(self, broker: Broker) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", broker.port)

    def post(self, path: str, body: bytes) -> bytes:
        self._connection.request("POST", path, body)
        answer = self._connection.getresponse()
        data = answer.read()
        if answer.status >= 300:
            raise RuntimeError(data)
        return data

    def delete(self, path: str) -> None:
        self._connection.request("DELETE", path)
        self._connection.getresponse().read()

    def close(self) -> None:
        self._connection.close()


def measured(
    name: str, records: int, run: Callable[[], None], beside: tuple[float, float] | None = None
) -> tuple[float, float]:
    """Prints and gives records per second by the clock, and microseconds of this process's CPU per record."""
    per_second, cpu_us = 0.0, float("inf")
    for _ in range(ROUNDS):
        start, cpu_start = time.perf_counter(), time.process_time()
        run()
        per_second = max(per_second, records / (time.perf_counter() - start))
        cpu_us = min(cpu_us, 1e6 * (time.process_time() - cpu_start) / records)
    ratio = "" if beside is None else f"{per_second / beside[0]:10.2f}"
    print(f"{name:34}{per_second:12,.0f}{cpu_us:12.1f}{ratio}", flush=True)
    return per_second, cpu_us


def produce(broker: Broker, records: int, value: bytes) -> None:
    bare = Bare(broker)

    def bare_run() -> None:
        for _ in range(records // BATCH):
            body = {"records": [{"value": value.decode(), "partition": 0} for _ in range(BATCH)]}
            bare.post("/api/topics/bare/produce", json.dumps(body).encode())

    beside = measured(f"bare produce, {BATCH} a request", records, bare_run)
    bare.close()

    def library_run() -> None:
        with Producer(bootstrap_servers=broker.address) as producer:
            for _ in range(records):
                producer.send("library", value)

    measured("Producer.send", records, library_run, beside)


def consume_bare(broker: Broker, records: int) -> tuple[float, float]:
    bare = Bare(broker)

    def run() -> None:
        asked = {"group_id": "bare", "topics": ["read"], "auto_offset_reset": "earliest", "auto_commit": False}
        consumer_id = json.loads(bare.post("/api/consumers/subscribe", json.dumps(asked).encode()))["consumer_id"]
        for _ in range(records // BATCH):
            answer = json.loads(bare.post(f"/api/consumers/{consumer_id}/consume", b'{"max_records": %d}' % BATCH))
            for record in answer["records"]:
                record["value"].encode()
        bare.delete(f"/api/consumers/{consumer_id}")

    beside = measured(f"bare consume, {BATCH} a poll", records, run)
    bare.close()
    return beside


def consume(broker: Broker, records: int, value: bytes) -> None:
    with Producer(bootstrap_servers=broker.address) as producer:
        for _ in range(records):
            producer.send("read", value)
    beside = consume_bare(broker, records)
    read = TopicPartition("read", 0)

    def polling() -> None:
        with Consumer(bootstrap_servers=broker.address, auto_offset_reset="earliest") as consumer:
            consumer.assign(read)
            left = records
            while left:
                left -= len(consumer.poll(max_records=BATCH))

    def looping() -> None:
        with Consumer(bootstrap_servers=broker.address, auto_offset_reset="earliest") as consumer:
            consumer.assign(read)
            for message in consumer:
                if message.offset == records - 1:
                    break

    async def polling_async() -> None:
        async with AsyncConsumer(bootstrap_servers=broker.address, auto_offset_reset="earliest") as consumer:
            await consumer.assign(read)
            left = records
            while left:
                left -= len(await consumer.poll(max_records=BATCH))

    measured("Consumer.poll", records, polling, beside)
    measured("for message in Consumer", records, looping, beside)
    measured("AsyncConsumer.poll", records, lambda: asyncio.run(polling_async()), beside)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=50_000, help=f"a multiple of {BATCH}")
    parser.add_argument("--bytes", type=int, default=100)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        broker = Broker(Path(directory))
        with Admin(bootstrap_servers=broker.address) as admin:
            for topic in ("bare", "library", "read"):
                admin.create_topic(topic)
        print(f"{given.records} records of {given.bytes} bytes{'records/s':>20}{'us CPU':>12}{'of bare':>10}")
        produce(broker, given.records, b"x" * given.bytes)
        consume(broker, given.records, b"x" * given.bytes)
        broker.stop()


if __name__ == "__main__":
    main()
