"""What the broker says of topics: which there are, their partitions, and where their logs begin and end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .errors import UnknownTopicError
from .records import OffsetAndTimestamp, TopicPartition
from .transport.calls import Calls, segment

__all__ = ["Topics"]


class Topics:
    """Questions that need no consumer."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def names(self) -> set[str]:
        return {topic["name"] for topic in self._calls.call("GET", "/api/topics")["topics"]}

    def get(self, topic: str, timeout_s: float | None = None) -> Mapping[str, Any]:
        """A topic with its partitions and settings."""
        found: Mapping[str, Any] = self._calls.call("GET", f"/api/topics/{segment(topic)}", timeout_s=timeout_s)
        return found

    def partitions(self, topic: str) -> set[int] | None:
        """The numbers of its partitions; None if there is no such topic."""
        try:
            return set(range(self.get(topic)["partitions"]))
        except UnknownTopicError:
            return None

    def bounds(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        """Where each log begins, and the offset after its last record."""
        bounds = {}
        for topic, number in partitions:
            answer = self._calls.call("GET", f"/api/topics/{segment(topic)}/partitions/{number}/offsets")
            bounds[TopicPartition(topic, number)] = (answer["start"], answer["end"])
        return bounds

    def at_time(self, partition: TopicPartition, timestamp_ms: int) -> OffsetAndTimestamp | None:
        """The first record that is not older; None if there is none."""
        topic, number = partition
        path = f"/api/topics/{segment(topic)}/partitions/{number}/offsets?timestamp_ms={timestamp_ms}"
        answer = self._calls.call("GET", path)
        return None if answer["offset"] is None else OffsetAndTimestamp(answer["offset"], answer["timestamp"])
