"""How far a consumer has come, without a broker."""

from __future__ import annotations

from typing import Any

from distributedlog import Message, TopicPartition
from distributedlog.consumer.messages import Messages
from distributedlog.consumer.progress import Progress

A, B = TopicPartition("t", 0), TopicPartition("t", 1)


def records(partition: TopicPartition, *offsets: int) -> list[dict[str, Any]]:
    return [{"topic": partition.topic, "partition": partition.partition, "offset": offset} for offset in offsets]


def assigned() -> Progress[bytes, bytes]:
    progress: Progress[bytes, bytes] = Progress()
    progress.assigned({A: 0, B: 10})
    return progress


def hand_out(progress: Progress[bytes, bytes], limit: int) -> Messages[bytes, bytes]:
    progress.came_back()
    taken = progress.take(limit)
    messages = Messages(
        Message[bytes, bytes](r["topic"], r["partition"], r["offset"], 0, None, None, []) for r in taken
    )
    progress.hand_out(messages, taken)
    return messages


def test_what_was_handed_out_is_processed_when_the_application_comes_back() -> None:
    progress = assigned()
    progress.fetched(records(A, 0, 1, 2) + records(B, 10), {A: 3, B: 11})
    hand_out(progress, 2)
    assert progress.positions == {A: 2, B: 10}
    assert progress.processed() == {A: 0, B: 10}
    hand_out(progress, 2)
    assert progress.positions == {A: 3, B: 11}
    assert progress.processed() == {A: 2, B: 10}


def test_a_commit_in_a_loop_covers_what_the_loop_was_given() -> None:
    progress = assigned()
    progress.fetched(records(A, 0, 1) + records(B, 10, 11), {A: 2, B: 12})
    messages = hand_out(progress, 4)
    assert progress.given() == {A: 2, B: 12}, "before a loop: all"
    points = [progress.given() for _ in messages]
    assert points == [{A: 1, B: 10}, {A: 2, B: 10}, {A: 2, B: 11}, {A: 2, B: 12}]
    for _ in messages:
        break
    assert progress.given() == {A: 1, B: 10}, "the loop begun last counts"
    list(messages)
    assert progress.given() == {A: 2, B: 12}, "after a loop: all"


def test_what_is_committed_is_not_committed_again() -> None:
    progress = assigned()
    progress.committed({A: 0, B: 10})
    assert progress.given() == {}
    progress.fetched(records(A, 0), {A: 1, B: 10})
    hand_out(progress, 1)
    assert progress.given() == {A: 1}


def test_a_record_comes_once_though_the_broker_delivers_it_twice() -> None:
    progress = assigned()
    progress.fetched(records(A, 0, 1), {A: 2, B: 10})
    assert len(hand_out(progress, 9)) == 2
    progress.came_back()
    progress.fetched(records(A, 0, 1, 2), {A: 3, B: 10})
    assert [message.offset for message in hand_out(progress, 9)] == [2]


def test_offsets_without_a_record_are_passed_over() -> None:
    progress = assigned()
    progress.fetched([], {A: 7, B: 10})
    assert (progress.positions[A], progress.processed()[A]) == (7, 7)


def test_a_seek_drops_the_buffer_and_counts_as_processed() -> None:
    progress = assigned()
    progress.fetched(records(A, 0, 1) + records(B, 10), {A: 2, B: 11})
    hand_out(progress, 1)
    progress.moved({A: 50})
    assert progress.given() == {A: 50, B: 10}
    assert [message.partition for message in hand_out(progress, 9)] == [1]


def test_a_partition_that_comes_back_begins_anew() -> None:
    progress = assigned()
    progress.fetched(records(A, 0, 1), {A: 2, B: 10})
    hand_out(progress, 1)
    progress.dropped([A])
    assert progress.given() == {B: 10}
    assert hand_out(progress, 9) == []
    progress.assigned({A: 0})
    progress.fetched(records(A, 0), {A: 1, B: 10})
    assert [message.offset for message in hand_out(progress, 9)] == [0]


def test_what_is_paused_stays_in_the_buffer() -> None:
    progress = assigned()
    progress.fetched(records(A, 0, 1) + records(B, 10), {A: 2, B: 11})
    progress.paused = {A}
    assert [message.partition for message in hand_out(progress, 9)] == [1]
    progress.paused = set()
    assert [message.offset for message in hand_out(progress, 9)] == [0, 1]


def test_what_is_given_back_comes_again() -> None:
    progress = assigned()
    progress.fetched(records(A, 0, 1, 2), {A: 3, B: 10})
    messages = hand_out(progress, 9)
    progress.give_back(messages, 1)
    assert (progress.positions[A], len(messages)) == (1, 1)
    assert [message.offset for message in hand_out(progress, 9)] == [1, 2]
    assert progress.processed()[A] == 1


def test_a_partition_without_a_position_gets_one_with_its_first_record() -> None:
    progress: Progress[bytes, bytes] = Progress()
    progress.assigned({A: None})
    assert progress.given() == {}
    progress.fetched(records(A, 5), {A: 6})
    assert progress.given() == {}
    assert len(hand_out(progress, 9)) == 1
    assert progress.given() == {A: 6}
