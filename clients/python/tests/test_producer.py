"""A producer against a broker, and against answers that only a script can give."""

from __future__ import annotations

import threading
from concurrent.futures import Future, wait
from typing import Any

import pytest
from broker import Broker
from scripted_broker import ScriptedBroker, refusal

from distributedlog import Admin, Consumer, Producer, RecordMetadata, TopicPartition
from distributedlog.errors import (
    BrokerUnavailableError,
    BufferFullError,
    DeliveryTimeoutError,
    OutcomeUnknownError,
    RecordTooLargeError,
    SequenceGapError,
    SerializationError,
    UnknownPartitionError,
    UnknownTopicError,
)


def written(broker: Broker, topic: str, partition: int = 0) -> list[bytes | None]:
    with Consumer(
        bootstrap_servers=broker.address, auto_offset_reset="earliest", consumer_timeout_ms=0, max_poll_records=10_000
    ) as consumer:
        consumer.assign(TopicPartition(topic, partition))
        return [message.value for message in consumer]


def test_a_record_is_acknowledged_with_its_place(broker: Broker, topic: str) -> None:
    with Producer(bootstrap_servers=broker.address) as producer:
        first = producer.send(topic, b"a", partition=1, timestamp_ms=5).result(10)
        assert first == RecordMetadata(topic, 1, 0, 5)
        assert first.topic_partition == TopicPartition(topic, 1)
        second = producer.send(topic, b"b", partition=1).result(10)
        assert (second.offset, (second.timestamp or 0) > 5) == (1, True)
        assert producer.partitions_for(topic) == {0, 1}


def test_records_share_requests_and_keep_their_order(broker: Broker, admin: Admin, name: str) -> None:
    admin.create_topic(name)
    values = [str(number).encode() for number in range(5_000)]
    with Producer(bootstrap_servers=broker.address, linger_ms=20, batch_size=10_000) as producer:
        futures = [producer.send(name, value) for value in values]
        producer.flush()
        assert all(future.done() for future in futures)
        assert [future.result().offset for future in futures] == list(range(5_000))
        figures = producer.metrics()
        assert (figures["records_sent_total"], figures["records_unacknowledged"]) == (5_000, 0)
        assert figures["buffer_used_bytes"] == 0
        assert figures["requests_total"] < 100
    assert written(broker, name) == values


def test_close_sends_what_lingers(broker: Broker, admin: Admin, name: str) -> None:
    admin.create_topic(name)
    producer = Producer(bootstrap_servers=broker.address, linger_ms=60_000)
    future = producer.send(name, b"x")
    producer.close()
    assert future.result(0).offset == 0


def test_several_threads_share_a_producer(broker: Broker, admin: Admin, name: str) -> None:
    admin.create_topic(name)
    with Producer(bootstrap_servers=broker.address, batch_size=2_000) as producer:

        def send(worker: int) -> None:
            for number in range(500):
                producer.send(name, f"{worker} {number}".encode())

        workers = [threading.Thread(target=send, args=(worker,)) for worker in range(4)]
        for thread in workers:
            thread.start()
        for thread in workers:
            thread.join()
    pairs = [tuple(map(int, (value or b"").split())) for value in written(broker, name)]
    assert sorted(pairs) == [(worker, number) for worker in range(4) for number in range(500)]
    for worker in range(4):
        assert [number for found, number in pairs if found == worker] == list(range(500))


def test_what_can_not_be_sent_is_refused_at_once(broker: Broker, topic: str) -> None:
    with Producer(bootstrap_servers=broker.address, value_serializer=str.encode) as producer:
        with pytest.raises(UnknownTopicError):
            producer.send("no-such-topic", "x")
        with pytest.raises(UnknownPartitionError, match="has 2 partitions"):
            producer.send(topic, "x", partition=2)
        with pytest.raises(RecordTooLargeError, match="max_message_bytes"):
            producer.send(topic, "x" * 2_000_000)
        with pytest.raises(SerializationError, match="the value could not be serialized"):
            producer.send(topic, 3)  # type: ignore[arg-type]
        with pytest.raises(SerializationError, match="a key has to be bytes, and this is str"):
            producer.send(topic, "x", "key")  # type: ignore[arg-type]
        assert producer.metrics()["records_unacknowledged"] == 0


def test_one_record_that_the_broker_refuses_does_not_cost_the_others(broker: Broker, admin: Admin, name: str) -> None:
    admin.create_topic(name)
    with Producer(bootstrap_servers=broker.address, linger_ms=60_000) as producer:
        producer.partitions_for(name)
        admin.alter_topic(name, max_message_bytes=10)
        futures = [producer.send(name, b"x" * size) for size in (1, 2, 11, 3, 12)]
        producer.flush()
        errors = [type(future.exception()) for future in futures]
        assert errors == [type(None), type(None), RecordTooLargeError, type(None), RecordTooLargeError]
    assert written(broker, name) == [b"x", b"xx", b"xxx"]


def test_a_batch_that_grew_too_large_for_one_request_is_sent_in_parts(broker: Broker, admin: Admin, name: str) -> None:
    admin.create_topic(name, max_message_bytes=4_000_000)
    values = [bytes([number]) * 700_000 for number in range(8)]
    with Producer(bootstrap_servers=broker.address, batch_size=8_000_000, linger_ms=60_000) as producer:
        # In JSON, a control character takes six bytes.
        futures = [producer.send(name, value) for value in values]
        producer.flush()
        assert [future.result().offset for future in futures] == list(range(8))
    assert written(broker, name) == values


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_compression(broker: Broker, topic: str, compression: Any) -> None:
    with Producer(bootstrap_servers=broker.address, compression=compression) as producer:
        producer.send(topic, b"x" * 10_000, partition=0).result(10)
    assert written(broker, topic) == [b"x" * 10_000]


def test_a_topic_is_created_where_the_broker_does_that(own_broker: Broker) -> None:
    own_broker.restart("--auto-create-topics=3")
    with Producer(bootstrap_servers=own_broker.address) as producer:
        assert producer.partitions_for("new") == {0, 1, 2}
        assert producer.send("new", b"x").result(10).offset == 0


def test_a_full_buffer_holds_senders_back(broker: Broker, topic: str) -> None:
    with Producer(
        bootstrap_servers=broker.address, buffer_memory=2_000, batch_size=1_000, linger_ms=60_000
    ) as producer:
        futures = [producer.send(topic, b"x" * 500, partition=0) for _ in range(50)]
        producer.flush()
        assert wait(futures).not_done == set()


def test_a_buffer_that_stays_full_is_an_error() -> None:
    with ScriptedBroker(lambda _: None) as broker:
        producer = Producer(bootstrap_servers=broker.address, buffer_memory=1_024, max_block_ms=100)
        taken = producer.send("t", b"x" * 900)
        with pytest.raises(BufferFullError, match="stayed full for 100 ms"):
            producer.send("t", b"x" * 900)
        producer.close(timeout_ms=0)
        assert isinstance(taken.exception(20), (DeliveryTimeoutError, BrokerUnavailableError))


def results(futures: list[Future[RecordMetadata]]) -> list[Any]:
    return [future.exception(30) or future.result().offset for future in futures]


def test_a_batch_is_repeated_with_the_same_numbers_until_it_is_acknowledged() -> None:
    answers: list[Any] = [None, refusal(503, "storage_unavailable", {"applied": "unknown"}), None, "ok", "ok"]
    with ScriptedBroker(lambda _: answers.pop(0)) as broker:
        with Producer(bootstrap_servers=broker.address, retry_backoff_ms=1) as producer:
            assert producer.send("t", b"a").result(30).offset == 0
            assert producer.send("t", b"b").result(30).offset == 0
            assert producer.metrics()["retries_total"] == 3
        sent = [(body["producer_id"], body["epoch"], body["sequence"]) for body in broker.produced]
        assert sent == [(producer.producer_id, 0, 0)] * 4 + [(producer.producer_id, 0, 1)]


def test_a_batch_whose_fate_is_unknown_ends_its_epoch() -> None:
    def answer(body: Any) -> Any:
        return "ok" if body["epoch"] == 1 else None

    with ScriptedBroker(answer) as broker:
        with Producer(bootstrap_servers=broker.address, retry_backoff_ms=50, delivery_timeout_ms=300) as producer:
            with pytest.raises(DeliveryTimeoutError, match="may be written"):
                producer.send("t", b"a").result(30)
            assert producer.send("t", b"b").result(30).offset == 0
        assert (broker.produced[-1]["epoch"], broker.produced[-1]["sequence"]) == (1, 0)


def test_a_producer_that_the_broker_forgot_begins_anew_if_nothing_can_be_written_twice() -> None:
    gap = refusal(409, "sequence_gap", {"expected": 0})
    answers: list[Any] = ["ok", gap, "ok", None, gap, "ok"]
    with ScriptedBroker(lambda _: answers.pop(0)) as broker:
        with Producer(bootstrap_servers=broker.address, retry_backoff_ms=1) as producer:
            producer.send("t", b"a").result(30)
            producer.send("t", b"b").result(30)
            with pytest.raises(SequenceGapError, match="read the end of the partition"):
                producer.send("t", b"c").result(30)
            producer.send("t", b"d").result(30)
        sent = [(body["epoch"], body["sequence"]) for body in broker.produced]
        assert sent == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 1), (2, 0)]


def test_without_idempotence_nothing_is_sent_twice() -> None:
    answers: list[Any] = [
        refusal(503, "overloaded", {}, retryable=True),
        None,
        refusal(503, "storage_unavailable", {"applied": "unknown"}),
        "ok",
    ]
    with ScriptedBroker(lambda _: answers.pop(0)) as broker:
        with Producer(bootstrap_servers=broker.address, retry_backoff_ms=1, idempotent=False) as producer:
            with pytest.raises(OutcomeUnknownError, match="may be written"):
                producer.send("t", b"a").result(30)
            assert results([producer.send("t", b"b")])[0].code == "storage_unavailable"
            producer.send("t", b"c").result(30)
        assert [body["records"][0]["value"] for body in broker.produced] == ["a", "a", "b", "c"]
        assert "producer_id" not in broker.produced[0]


def test_a_broker_without_numbers_gets_none_and_nothing_is_sent_twice() -> None:
    answers: list[Any] = ["ok", "ok", None, refusal(503, "storage_unavailable", {"applied": "unknown"}), "ok"]

    def answer(body: Any) -> Any:
        if "producer_id" in body:
            return refusal(501, "unsupported", {"what": "recognising a producer's records"})
        return answers.pop(0)

    with ScriptedBroker(answer) as broker:
        with Producer(bootstrap_servers=broker.address, retry_backoff_ms=1) as producer:
            producer.send("t", b"a").result(30)
            producer.send("t", b"b").result(30)
            with pytest.raises(OutcomeUnknownError, match="may be written"):
                producer.send("t", b"c").result(30)
            assert results([producer.send("t", b"d")])[0].code == "storage_unavailable"
            producer.send("t", b"e").result(30)
        sent = [(body["records"][0]["value"], "producer_id" in body) for body in broker.produced]
        assert sent == [("a", True), ("a", False), ("b", False), ("c", False), ("d", False), ("e", False)]


def test_a_broker_that_is_away_fails_what_was_not_written() -> None:
    with ScriptedBroker(lambda _: "ok") as broker:
        producer = Producer(bootstrap_servers=broker.address, delivery_timeout_ms=300, retry_backoff_ms=10)
        producer.send("t", b"a").result(30)
    with pytest.raises(BrokerUnavailableError, match="not written"):
        producer.send("t", b"b").result(30)
    producer.close()


def test_a_flush_that_takes_too_long_says_so() -> None:
    with ScriptedBroker(lambda _: None) as broker:
        producer = Producer(bootstrap_servers=broker.address)
        producer.send("t", b"a")
        with pytest.raises(DeliveryTimeoutError, match="1 records are not acknowledged after 50 ms"):
            producer.flush(timeout_ms=50)
        producer.close(timeout_ms=0)
