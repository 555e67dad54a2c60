"""A consumer alone, against a broker."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from broker import Broker
from conftest import fill

from distributedlog import Admin, Consumer, OffsetAndMetadata, OffsetAndTimestamp, Producer, TopicPartition
from distributedlog.errors import (
    ConfigurationError,
    ConsumerFencedError,
    DeserializationError,
    IllegalStateError,
    NoCommittedOffsetError,
    NotSubscribedError,
    OffsetOutOfRangeError,
    PartitionNotAssignedError,
    UnknownTopicError,
)
from distributedlog.serialization import from_json, from_text, to_json, to_text


def reader(broker: Broker, group: str | None, **options: Any) -> Consumer[bytes, bytes]:
    return Consumer(bootstrap_servers=broker.address, group_id=group, **{"auto_offset_reset": "earliest", **options})


def values(messages: Any) -> list[bytes]:
    return [message.value for message in messages]


def test_a_message_has_all_that_was_sent(broker: Broker, topic: str) -> None:
    odd = b'\xff\x00\n"'
    with Producer(bootstrap_servers=broker.address) as producer:
        producer.send(topic, odd, odd, [("a", b"1"), ("a", odd)], 1, 1_704_537_600_000).result(10)
        producer.send(topic, None, b"gone", {"text": "ü"}, 1, 0).result(10)
        producer.send(topic, b"", None, None, 1, 1).result(10)
    with reader(broker, None) as consumer:
        consumer.subscribe([topic])
        first, second, third = consumer.poll(timeout_ms=5_000)
    assert (first.topic, first.partition, first.offset, first.timestamp) == (topic, 1, 0, 1_704_537_600_000)
    assert (first.key, first.value, first.headers) == (odd, odd, [("a", b"1"), ("a", odd)])
    assert (first.header("a"), first.header("b")) == (odd, None)
    assert (second.key, second.value, second.headers) == (b"gone", None, [("text", "ü".encode())])
    assert (third.key, third.value, third.timestamp, third.headers) == (None, b"", 1, [])
    assert first.topic_partition == TopicPartition(topic, 1)
    assert first == first
    assert first != second
    assert "offset=0" in repr(first)


def test_poll_returns_what_there_is_and_an_empty_list_without_messages(broker: Broker, topic: str) -> None:
    fill(broker.address, topic, 10)
    with reader(broker, topic, max_poll_records=6) as consumer:
        consumer.subscribe(topic)
        assert isinstance(consumer.poll(timeout_ms=5_000, max_records=4), list)
        assert len(consumer.poll()) == 6
        assert consumer.poll(timeout_ms=0) == []
        assert consumer.poll(timeout_ms=50) == []
        with pytest.raises(ConfigurationError, match="from 1 to 10000"):
            consumer.poll(max_records=0)


def test_the_next_consumer_of_a_group_goes_on_where_the_last_one_ended(broker: Broker, topic: str) -> None:
    fill(broker.address, topic, 10)
    with reader(broker, topic) as consumer:
        consumer.subscribe([topic])
        assert len(consumer.poll(max_records=4)) == 4
    with reader(broker, topic) as consumer:
        consumer.subscribe([topic])
        assert len(consumer.poll()) == 6
        consumer.close(autocommit=False)
    with reader(broker, topic, auto_commit=False) as consumer:
        consumer.subscribe([topic])
        assert len(consumer.poll()) == 6


def test_messages_of_a_loop_that_failed_come_again(broker: Broker, topic: str) -> None:
    fill(broker.address, topic, 10)
    with pytest.raises(ZeroDivisionError), reader(broker, topic) as consumer:
        consumer.subscribe([topic])
        consumer.poll(max_records=3)
        consumer.poll(max_records=3)
        raise ZeroDivisionError
    with reader(broker, topic) as consumer:
        consumer.subscribe([topic])
        assert len(consumer.poll()) == 7


def test_a_commit_after_each_message_covers_that_message(broker: Broker, topic: str) -> None:
    fill(broker.address, topic, 10, partitions=1)
    with reader(broker, topic, auto_commit=False) as consumer:
        consumer.subscribe([topic])
        for message in consumer.poll():
            consumer.commit()
            assert consumer.committed(message.topic_partition) == OffsetAndMetadata(message.offset + 1)
            if message.offset == 4:
                break
    with reader(broker, topic, consumer_timeout_ms=100) as consumer:
        consumer.subscribe([topic])
        assert [message.offset for message in consumer] == [5, 6, 7, 8, 9]


def test_iteration_commits_and_goes_on_message_by_message(broker: Broker, topic: str) -> None:
    fill(broker.address, topic, 8, partitions=1)
    with reader(broker, topic, auto_commit_interval_ms=0) as consumer:
        consumer.subscribe([topic])
        for message in consumer:
            if message.offset == 3:
                break
        committed = consumer.committed(TopicPartition(topic, 0))
        assert committed == OffsetAndMetadata(3), "the message in hand is not processed yet"
        assert next(consumer).offset == 4
        assert [message.offset for message in consumer.poll()] == [5, 6, 7]
    with reader(broker, topic, consumer_timeout_ms=0) as consumer:
        consumer.subscribe([topic])
        assert list(consumer) == []


def test_commits_of_given_offsets_with_metadata(broker: Broker, topic: str) -> None:
    fill(broker.address, topic, 10)
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
    with reader(broker, topic, auto_commit=False) as consumer:
        consumer.subscribe([topic])
        assert consumer.committed(first) is None
        consumer.commit({first: OffsetAndMetadata(3, "up to here"), second: 2})
        assert consumer.committed(first) == OffsetAndMetadata(3, "up to here")
        assert consumer.committed(second) == OffsetAndMetadata(2)
        with pytest.raises(OffsetOutOfRangeError):
            consumer.commit({first: 99})
    with reader(broker, topic) as consumer:
        assert consumer.committed(first) == OffsetAndMetadata(3, "up to here"), "without a subscription, too"
        assert consumer.committed(TopicPartition(topic, 9)) is None


def test_a_commit_of_no_offsets_commits_nothing(broker: Broker, topic: str) -> None:
    fill(broker.address, topic, 10)
    with reader(broker, topic, auto_commit=False) as consumer:
        consumer.subscribe([topic])
        assert len(consumer.poll()) == 10
        consumer.commit({})
        consumer.commit_async({}).result(10)
        assert consumer.committed(TopicPartition(topic, 0)) is None


def test_commits_in_the_background_keep_their_order(broker: Broker, topic: str) -> None:
    fill(broker.address, topic, 100, partitions=1)
    partition, heard = TopicPartition(topic, 0), []
    with reader(broker, topic, auto_commit=False) as consumer:
        consumer.subscribe([topic])
        futures = [
            consumer.commit_async(
                {partition: at}, lambda points, error: heard.append((points[partition].offset, error))
            )
            for at in range(1, 51)
        ]
        consumer.commit({partition: 60})
        assert consumer.committed(partition) == OffsetAndMetadata(60)
        for future in futures:
            future.result(10)
        assert heard == [(at, None) for at in range(1, 51)]
        consumer.poll()
        consumer.commit_async().result(10)
        assert consumer.committed(partition) == OffsetAndMetadata(100)
        with pytest.raises(OffsetOutOfRangeError):
            consumer.commit_async({partition: 101}).result(10)


def test_seeks(broker: Broker, topic: str) -> None:
    fill(broker.address, topic, 20)
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
    with reader(broker, topic, auto_commit=False) as consumer:
        consumer.subscribe([topic])
        consumer.seek(first, 7)
        assert (consumer.position(first), consumer.position(second)) == (7, 0)
        assert len(consumer.poll()) == 13
        consumer.seek_to_beginning()
        assert len(consumer.poll()) == 20
        consumer.seek_to_beginning(first)
        assert len(consumer.poll()) == 10
        consumer.seek_to_beginning([first, second])
        assert len(consumer.poll()) == 20
        consumer.commit({first: 4})
        consumer.seek_to_committed(first)
        assert consumer.position(first) == 4
        consumer.seek_to_end()
        assert consumer.poll(timeout_ms=0) == []
        fill(broker.address, topic, 2)
        assert len(consumer.poll(timeout_ms=5_000)) == 2
        with pytest.raises(OffsetOutOfRangeError, match=r"beginning_offsets\(\)"):
            consumer.seek(first, 100)
        with pytest.raises(PartitionNotAssignedError, match="is not assigned to this consumer, which has"):
            consumer.seek(TopicPartition(topic, 5), 0)


def test_a_seek_to_a_time(broker: Broker, topic: str) -> None:
    first = TopicPartition(topic, 0)
    with Producer(bootstrap_servers=broker.address) as producer:
        for at in range(10):
            producer.send(topic, partition=0, timestamp_ms=1_000 * at)
    with reader(broker, topic) as consumer:
        consumer.subscribe([topic])
        consumer.seek_to_time(6_500)
        assert [message.offset for message in consumer.poll()] == [7, 8, 9]
        found = consumer.offsets_for_times({first: 3_000, TopicPartition(topic, 1): 0})
        assert found == {first: OffsetAndTimestamp(3, 3_000), TopicPartition(topic, 1): None}


def test_what_there_is(broker: Broker, topic: str) -> None:
    fill(broker.address, topic, 10)
    both = [TopicPartition(topic, 0), TopicPartition(topic, 1)]
    with reader(broker, topic, client_id="test") as consumer:
        assert (consumer.assignment(), consumer.subscription()) == (set(), set())
        consumer.subscribe([topic])
        assert (consumer.assignment(), consumer.subscription()) == (set(both), {topic})
        assert topic in consumer.topics()
        assert (consumer.partitions_for_topic(topic), consumer.partitions_for_topic("none")) == ({0, 1}, None)
        assert consumer.beginning_offsets(both) == dict.fromkeys(both, 0)
        assert consumer.end_offsets(both) == dict.fromkeys(both, 5)
        assert (consumer.lag(), consumer.lag(both[0])) == (dict.fromkeys(both, 5), 5)
        assert len(consumer.poll(max_records=4)) == 4
        assert sum(consumer.lag().values()) == 6
        next(consumer)
        assert sum(consumer.lag().values()) == 5, "what is in the buffer still is to come"
        figures = consumer.metrics()
        assert (figures["polls_total"], figures["messages_total"], figures["records_lag"]) == (1, 5, 5)
        assert figures["fetch_requests_total"] == 2
        assert consumer.config.client_id == "test"


def test_paused_partitions_are_not_handed_out(broker: Broker, topic: str) -> None:
    fill(broker.address, topic, 10)
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
    with reader(broker, topic) as consumer:
        consumer.subscribe([topic])
        consumer.pause(first)
        assert consumer.paused() == {first}
        assert {message.partition for message in consumer.poll()} == {1}
        assert consumer.poll(timeout_ms=50) == []
        consumer.resume(first)
        assert {message.partition for message in consumer.poll()} == {0}
        consumer.seek_to_beginning()
        in_hand = next(consumer).topic_partition
        consumer.pause(in_hand)
        assert {message.topic_partition for message in consumer.poll()} == {first, second} - {in_hand}
        consumer.pause()
        assert (consumer.poll(timeout_ms=0), consumer.paused()) == ([], {first, second})
        consumer.resume()
        assert len(consumer.poll()) == 4


def test_assign_reads_exactly_that_and_rebalances_nobody(broker: Broker, topic: str) -> None:
    fill(broker.address, topic, 10)
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
    with reader(broker, topic) as member, reader(broker, topic) as other:
        member.subscribe([topic])
        other.assign([first])
        assert (member.assignment(), other.assignment()) == ({first, second}, {first})
        assert {message.partition for message in other.poll()} == {0}
        assert len(member.poll()) == 10
        assert member.metrics()["rebalances_total"] == 0
        other.assign([first, second])
        assert other.position(first) == 5, "what stays goes on where it was"
        assert {message.partition for message in other.poll()} == {1}


def test_a_subscription_can_be_changed_and_ended(broker: Broker, admin: Admin, name: str) -> None:
    for number in (1, 2):
        admin.create_topic(f"{name}-{number}")
        fill(broker.address, f"{name}-{number}", 3, partitions=1)
    with reader(broker, name) as consumer:
        consumer.subscribe(f"{name}-1")
        assert len(consumer.poll()) == 3
        consumer.subscribe([f"{name}-1", f"{name}-2"])
        assert {message.topic for message in consumer.poll()} == {f"{name}-2"}
        consumer.unsubscribe()
        assert (consumer.assignment(), consumer.subscription()) == (set(), set())
        with pytest.warns(RuntimeWarning, match="without subscribe"):
            assert consumer.poll(timeout_ms=0) == []
        consumer.subscribe(pattern=f"{name}-[0-9]")
        assert consumer.subscription() == {f"{name}-1", f"{name}-2"}
        assert consumer.poll(timeout_ms=0) == [], "it was committed when it left"
        admin.create_topic(f"{name}-3")
        fill(broker.address, f"{name}-3", 3, partitions=1)
        assert len(consumer.poll(timeout_ms=10_000)) == 3
        with pytest.raises(ConfigurationError, match="topics or a pattern"):
            consumer.subscribe()


def test_a_topic_that_is_missing_is_an_error_unless_it_may_be(broker: Broker, admin: Admin, name: str) -> None:
    with reader(broker, name) as consumer, pytest.raises(UnknownTopicError, match="create_topic"):
        consumer.subscribe([name])
    with reader(broker, name, allow_missing_topics=True) as consumer:
        consumer.subscribe([name])
        assert consumer.assignment() == set()
        admin.create_topic(name)
        fill(broker.address, name, 1, partitions=1)
        assert len(consumer.poll(timeout_ms=10_000)) == 1


def test_nothing_goes_without_a_subscription(broker: Broker, name: str) -> None:
    partition = TopicPartition("t", 0)
    with reader(broker, name) as consumer:
        with pytest.raises(NotSubscribedError):
            consumer.seek(partition, 0)
        with pytest.raises(NotSubscribedError):
            consumer.commit({partition: 0})
        with pytest.raises(NotSubscribedError):
            next(consumer)
        consumer.commit()


def test_without_a_group_there_are_no_commits(broker: Broker, topic: str) -> None:
    fill(broker.address, topic, 4)
    with reader(broker, None) as one, reader(broker, None) as other:
        one.subscribe(topic)
        other.subscribe(topic)
        assert (len(one.poll()), len(other.poll())) == (4, 4)
        with pytest.raises(IllegalStateError, match="without group_id"):
            one.commit()


def test_where_a_consumer_begins_without_an_offset(broker: Broker, topic: str) -> None:
    fill(broker.address, topic, 4)
    with reader(broker, topic, auto_offset_reset="latest") as consumer:
        consumer.subscribe(topic)
        assert consumer.poll(timeout_ms=0) == []
    with reader(broker, f"{topic}-hour", auto_offset_reset="by_duration:PT1H") as consumer:
        consumer.subscribe(topic)
        assert len(consumer.poll()) == 4
    with reader(broker, f"{topic}-none", auto_offset_reset="none") as consumer:
        consumer.subscribe(topic)
        assert consumer.position(TopicPartition(topic, 0)) is None
        with pytest.raises(NoCommittedOffsetError, match="seek_to_beginning"):
            consumer.poll()
        consumer.seek_to_beginning()
        assert len(consumer.poll()) == 4


def test_deserializers_and_what_they_can_not_read(broker: Broker, admin: Admin, name: str) -> None:
    admin.create_topic(name)
    with Producer(bootstrap_servers=broker.address, key_serializer=to_text, value_serializer=to_json) as producer:
        for number in range(3):
            producer.send(name, {"number": number}, key="k")
    with Producer(bootstrap_servers=broker.address) as producer:
        producer.send(name, b"{", b"bad").result(10)
        producer.send(name, None, b"none").result(10)
    with Consumer(
        bootstrap_servers=broker.address,
        group_id=name,
        auto_offset_reset="earliest",
        key_deserializer=from_text,
        value_deserializer=from_json,
    ) as consumer:
        consumer.subscribe(name)
        assert [(message.key, message.value) for message in consumer.poll()] == [("k", {"number": n}) for n in range(3)]
        for _ in range(2):
            with pytest.raises(DeserializationError, match="JSONDecodeError") as failed:
                consumer.poll()
        assert (failed.value.partition, failed.value.offset, failed.value.part) == (TopicPartition(name, 0), 3, "value")
        assert isinstance(failed.value.__cause__, json.JSONDecodeError)
        consumer.seek(failed.value.partition, failed.value.offset + 1)
        assert [(message.key, message.value) for message in consumer.poll()] == [("none", None)]


def test_enough_bytes_are_waited_for(broker: Broker, topic: str) -> None:
    with reader(broker, topic, fetch_min_bytes=100_000, fetch_max_wait_ms=200) as consumer:
        consumer.subscribe(topic)
        fill(broker.address, topic, 1)
        assert len(consumer.poll(timeout_ms=20_000)) == 1, "after fetch_max_wait_ms it gets what there is"


def test_a_poll_that_waits_is_woken_by_a_message(broker: Broker, topic: str) -> None:
    with reader(broker, topic) as consumer:
        consumer.subscribe(topic)
        writer = threading.Timer(0.2, fill, (broker.address, topic, 1))
        writer.start()
        assert len(consumer.poll(timeout_ms=None)) == 1
        writer.join()


def test_a_second_worker_with_the_same_instance_id_takes_the_place_of_the_first(broker: Broker, topic: str) -> None:
    fill(broker.address, topic, 4)
    with reader(broker, topic, group_instance_id="a") as former:
        former.subscribe(topic)
        assert len(former.poll()) == 4
        former.commit()
        with reader(broker, topic, group_instance_id="a") as later:
            later.subscribe(topic)
            assert later.assignment() == {TopicPartition(topic, 0), TopicPartition(topic, 1)}
            with pytest.raises(ConsumerFencedError, match="a group_instance_id of its own"):
                former.poll()
        former.subscribe(topic)
        assert len(former.assignment()) == 2, "who is told to may take the place again"
