from __future__ import annotations

import random

import pytest
from broker import Broker

from distributedlog import Admin, Consumer, Producer, TopicPartition
from distributedlog.producer import murmur2, partition_for


@pytest.mark.parametrize(
    ("key", "signed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"abc", 479470107),
        (b"", 275646681),
    ],
)
def test_the_hash_is_the_one_of_kafka(key: bytes, signed: int) -> None:
    assert murmur2(key) == signed & 0xFFFFFFFF


def test_the_broker_sends_keys_where_the_library_does(admin: Admin, name: str) -> None:
    admin.create_topic(name, 7)
    draw = random.Random(1)
    keys = sorted({bytes(draw.choices(b"abcdefghij0123456789-", k=draw.randrange(1, 30))) for _ in range(300)})
    body = {"records": [{"key": key.decode()} for key in keys]}
    produced = admin._calls.call("POST", f"/api/topics/{name}/produce", body)
    assert [written["partition"] for written in produced["offsets"]] == [partition_for(key, 7) for key in keys]


def test_records_without_a_key_take_turns_by_batches(broker: Broker, topic: str) -> None:
    with Producer(bootstrap_servers=broker.address) as producer:
        partitions = [producer.send(topic, b"x").result(10).partition for _ in range(6)]
    assert partitions in ([0, 1] * 3, [1, 0] * 3)


def test_a_partitioner_of_ones_own_decides(broker: Broker, topic: str) -> None:
    with Producer(bootstrap_servers=broker.address, partitioner=lambda key, count: len(key or b"") % count) as producer:
        assert producer.send(topic, key=b"odd").result(10).partition == 1
        assert producer.send(topic).result(10).partition == 0
    with Consumer(bootstrap_servers=broker.address, auto_offset_reset="earliest") as consumer:
        consumer.assign(TopicPartition(topic, 1))
        assert [message.key for message in consumer.poll(timeout_ms=5_000)] == [b"odd"]
