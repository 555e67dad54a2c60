"""What a poll returns: a list of messages that knows how far a loop over it has come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from ..records import Message, TopicPartition

__all__ = ["Messages"]

K = TypeVar("K")
V = TypeVar("V")


class Messages(list[Message[K, V]]):
    """The messages of one poll: a list.

    While a ``for`` loop over it is under way, ``consumer.commit()`` covers the messages that the loop was given so
    far, the one in hand included. Before a loop begins and after it came to the end it covers all of them. If there
    are several loops, the one begun last counts.
    """

    _given: int | None = None

    def __iter__(self) -> Iterator[Message[K, V]]:
        self._given = 0
        for count, message in enumerate(super().__iter__(), 1):
            self._given = count
            yield message
        self._given = None

    def given(self) -> int:
        """How many messages the loop that is under way was given; all, if there is none."""
        return len(self) if self._given is None else self._given

    def ends(self) -> dict[TopicPartition, int]:
        """The offset after the last message of each partition."""
        return _ends(self, len(self))

    def given_ends(self) -> dict[TopicPartition, int]:
        """The same, for what a loop that is under way was given."""
        return _ends(self, self.given())


def _ends(messages: Messages[K, V], count: int) -> dict[TopicPartition, int]:
    ends: dict[tuple[str, int], int] = {}
    for message in messages[:count]:
        ends[message.topic, message.partition] = message.offset + 1
    return {TopicPartition(*partition): offset for partition, offset in ends.items()}
