"""A consumer's offsets: commits, seeks, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, Callable, TypeVar, Union, overload

from ..errors import ConsumerExpiredError, IllegalStateError, UnknownGroupError
from ..records import OffsetAndMetadata, TopicPartition
from ..transport.calls import segment
from ..wire import grouped, per_partition
from .life import Life, Partitions, listed

__all__ = ["Offsets"]

K = TypeVar("K")
V = TypeVar("V")

#: What may be committed: next offsets, with metadata or without.
Points = Mapping[TopicPartition, Union[OffsetAndMetadata, int]]

#: Hears how a commit in the background ended.
Ended = Callable[[Mapping[TopicPartition, OffsetAndMetadata], "BaseException | None"], object]


class Offsets(Life[K, V]):
    """Everything about offsets."""

    def commit(self, offsets: Points | None = None) -> None:
        """Commits, and returns when that is durable. Without offsets: all that was handed out.

        Within a loop over what ``poll()`` returned, or over the consumer, that is what the loop was given so far. A
        committed offset is the *next* one to read. All is committed or nothing. Raises :class:`CommitFailedError` if
        the partitions have gone to others.
        """
        with self._guard:
            if offsets is None:
                self._may_commit()
                self._committing(lambda: self._fetching.commit(self._progress.given()))
                return
            points = self._points(offsets)
            self._committing(lambda: self._keeper.settle(self.config.api_timeout_ms / 1000))
            if not points:
                # To the broker this would mean all that it delivered, be it lost on its way.
                return
            plain = {partition: point.offset for partition, point in points.items()}
            metadata = {partition: point.metadata for partition, point in points.items() if point.metadata}
            self._committing(lambda: self._membership.commit(plain, metadata))
            self._progress.committed(plain)

    def commit_async(self, offsets: Points | None = None, callback: Ended | None = None) -> Future[None]:
        """Commits in the background. Later commits come after it. The callback is called in the background thread."""
        with self._guard:
            if offsets is None:
                self._may_commit()
                offsets = {partition: OffsetAndMetadata(at) for partition, at in self._progress.given().items()}
            points = self._points(offsets) if offsets else {}
            if not points:
                done: Future[None] = Future()
                done.set_result(None)
                return done
            future = self._keeper.commit(points)
            if callback is not None:
                tell = callback
                future.add_done_callback(lambda ended: tell(points, ended.exception()))
            return future

    def committed(self, partition: TopicPartition) -> OffsetAndMetadata | None:
        """What the group has committed for a partition, whoever reads it; None if nothing."""
        with self._guard:
            topic, number = TopicPartition(*partition)
            if partition in self._progress.positions:
                answer = self._membership.get("committed")
                offset = answer["offsets"].get(topic, {}).get(str(number))
                metadata = answer.get("metadata", {}).get(topic, {}).get(str(number), "")
                return None if offset is None else OffsetAndMetadata(offset, metadata)
            return self._group_committed(partition)

    def position(self, partition: TopicPartition) -> int | None:
        """The offset of the next message; None while there is nowhere to begin (``auto_offset_reset='none'``)."""
        with self._guard:
            return self._progress.positions[self._own(partition)]

    def seek(self, partition: TopicPartition, offset: int | OffsetAndMetadata) -> None:
        """Goes on at this offset. Raises :class:`OffsetOutOfRangeError`, :class:`PartitionNotAssignedError`."""
        with self._guard:
            topic, number = self._own(partition)
            at = offset.offset if isinstance(offset, OffsetAndMetadata) else offset
            self._seek({"topic": topic, "partition": number, "offset": at}, [partition])

    def seek_to_beginning(self, *partitions: Partitions) -> None:
        """Goes on at the first record there is, in these partitions or in all."""
        self._seek_to({"to": "beginning"}, partitions)

    def seek_to_end(self, *partitions: Partitions) -> None:
        """Goes on with what is written from now on, in these partitions or in all."""
        self._seek_to({"to": "end"}, partitions)

    def seek_to_committed(self, *partitions: Partitions) -> None:
        """Goes back to the committed offset, or where the consumer would begin without one."""
        self._seek_to({"to": "committed"}, partitions)

    def seek_to_time(self, timestamp_ms: int, *partitions: Partitions) -> None:
        """Goes on with the first record that is not older, or at the end; in these partitions or in all."""
        self._seek_to({"timestamp_ms": timestamp_ms}, partitions)

    @overload
    def lag(self) -> dict[TopicPartition, int]: ...
    @overload
    def lag(self, partition: TopicPartition) -> int: ...
    def lag(self, partition: TopicPartition | None = None) -> dict[TopicPartition, int] | int:
        """How many records are still to come: of a partition, or of each."""
        with self._guard:
            self._reading()
            told = self._membership.get()
            # The broker counts from where it stands, which is ahead by what is in the buffer.
            stands, behind = per_partition(told["positions"]), per_partition(told["lag"])
            ends = {p: stand + behind[p] for p, stand in stands.items() if stand is not None}
            at = self._progress.positions
            lag = {p: max(end - (at.get(p) or 0), 0) for p, end in ends.items() if at.get(p) is not None}
            return lag if partition is None else lag.get(self._own(partition), 0)

    def _may_commit(self) -> None:
        if self.config.group_id is None:
            raise IllegalStateError("a consumer without group_id can't commit: offsets are kept for groups")

    def _points(self, offsets: Points) -> dict[TopicPartition, OffsetAndMetadata]:
        self._may_commit()
        self._reading()
        return {
            TopicPartition(*partition): point if isinstance(point, OffsetAndMetadata) else OffsetAndMetadata(point)
            for partition, point in offsets.items()
        }

    def _group_committed(self, partition: TopicPartition) -> OffsetAndMetadata | None:
        self._may_commit()
        try:
            group = self._membership.calls.call("GET", f"/api/consumer-groups/{segment(self._membership.group_id)}")
        except UnknownGroupError:
            return None
        for held in group["partitions"]:
            if (held["topic"], held["partition"]) == partition and held["committed"] is not None:
                return OffsetAndMetadata(held["committed"], held.get("metadata", ""))
        return None

    def _seek_to(self, where: Mapping[str, Any], partitions: tuple[Partitions, ...]) -> None:
        with self._guard:
            self._reading()
            if not partitions:
                self._seek(where, list(self._progress.positions))
                return
            wanted = [self._own(partition) for partition in listed(partitions)]
            if wanted:
                self._seek({**where, "partitions": grouped(wanted)}, wanted)

    def _seek(self, where: Mapping[str, Any], moved: list[TopicPartition]) -> None:
        try:
            positions = self._membership.seek(where)
        except ConsumerExpiredError:
            self._membership.expired = True
            raise
        self._progress.moved({partition: positions.get(partition) for partition in moved})
        self._keeper.heard()
