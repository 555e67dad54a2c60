"""Topics and groups, against a broker."""

from __future__ import annotations

import pytest
from broker import Broker
from conftest import fill
from scripted_broker import TOPIC, ScriptedBroker

from distributedlog import Admin, Consumer, MovedOffset, TopicPartition
from distributedlog.errors import (
    ConfigurationError,
    GroupActiveError,
    InvalidRequestError,
    TopicExistsError,
    UnknownGroupError,
    UnknownTopicError,
)


def test_the_life_of_a_topic(broker: Broker, admin: Admin, name: str) -> None:
    made = admin.create_topic(name, 2, retention_ms=3_600_000, cleanup="both")
    assert (made.name, made.partitions, made.beginning_offsets, made.end_offsets) == (name, 2, (0, 0), (0, 0))
    assert (made.settings["retention_ms"], made.settings["cleanup"]) == (3_600_000, "both")
    with pytest.raises(TopicExistsError):
        admin.create_topic(name, 2)
    with pytest.raises(InvalidRequestError, match="retention"):
        admin.create_topic(f"{name}-2", retention=1)
    assert admin.alter_topic(name, 3, cleanup="delete").partitions == 3
    assert admin.topic(name).settings["cleanup"] == "delete"
    fill(broker.address, name, 3)
    assert admin.topics()[name].end_offsets == (2, 1, 0)
    admin.delete_topic(name)
    with pytest.raises(UnknownTopicError):
        admin.delete_topic(name)
    assert admin.health()["status"] == "ok"


def test_partitions_without_a_leader_are_told() -> None:
    led = {"partition": 0, "start": 2, "end": 5}
    leaderless = {"partition": 1, "start": 0, "end": 0, "leaderless": True}
    for offsets, told in [([led], set()), ([leaderless, led], {1})]:
        topic = {**TOPIC, "partitions": len(offsets), "offsets": offsets}
        with ScriptedBroker(lambda _: "ok", topic=topic) as server, Admin(bootstrap_servers=server.address) as admin:
            assert admin.topic("t").leaderless == told


def test_the_life_of_a_group(broker: Broker, admin: Admin, topic: str) -> None:
    fill(broker.address, topic, 20)
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
    with pytest.raises(UnknownGroupError):
        admin.group(topic)
    with Consumer(bootstrap_servers=broker.address, group_id=topic, auto_offset_reset="earliest") as consumer:
        consumer.subscribe(topic)
        consumer.poll()
        consumer.commit({first: 4, second: 10})
        group = admin.group(topic)
        assert (group.state, len(group.members), admin.groups()[topic]) == ("stable", 1, "stable")
        assert [(held.partition, held.committed, held.lag) for held in group.partitions] == [
            (first, 4, 6),
            (second, 10, 0),
        ]
        assert group.partitions[0].owner == group.members[0]["consumer_id"]
        with pytest.raises(GroupActiveError, match="Close the group's consumers"):
            admin.set_offsets(topic, to="earliest")
        consumer.close(autocommit=False)
    assert admin.set_offsets(topic, {first: 1}) == [MovedOffset(first, 4, 1)]
    assert admin.set_offsets(topic, by=2, partitions=[first]) == [MovedOffset(first, 1, 3)]
    assert admin.set_offsets(topic, to="latest", dry_run=True)[0] == MovedOffset(first, 3, 10)
    assert admin.set_offsets(topic, timestamp_ms=0, topics=topic) == [
        MovedOffset(first, 3, 0),
        MovedOffset(second, 10, 0),
    ]
    with pytest.raises(ConfigurationError, match="exactly one"):
        admin.set_offsets(topic, to="latest", by=1)
    assert admin.delete_offsets(topic, partitions=[second]) == [MovedOffset(second, 0, None)]
    admin.delete_group(topic)
    with pytest.raises(UnknownGroupError):
        admin.delete_group(topic)
