"""How far a consumer has come in each of its partitions.

```text
  committed <= processed <= handed out (the position) <= fetched (in the buffer)
```

* *handed out*: given to the application.
* *processed*: handed out by a poll before the latest, so that the application came back for more; or said to be so, by
  a seek or by closing the consumer. Automatic commits cover this, and nothing beyond it.

A record that was handed out is not handed out again while its partition stays assigned, even if the broker delivers it
again after a crash.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar

from ..records import TopicPartition
from .messages import Messages

__all__ = ["Progress", "Record"]

K = TypeVar("K")
V = TypeVar("V")

#: A record as the broker's JSON has it.
Record = dict[str, Any]


class Progress(Generic[K, V]):
    """Positions and the buffer of one consumer. Knows nothing of the broker."""

    def __init__(self) -> None:
        #: The next offset to hand out; None where the broker has none yet (no committed offset, and no reset).
        self.positions: dict[TopicPartition, int | None] = {}
        self.paused: set[TopicPartition] = set()
        self._processed: dict[TopicPartition, int] = {}
        #: What the broker is known to have: the last commit, or nothing.
        self._committed: dict[TopicPartition, int] = {}
        #: Where to go on so that nothing is left out: the last commit, or where the partition was got.
        self._base: dict[TopicPartition, int] = {}
        self._buffer: list[Record] = []
        self._latest: Messages[K, V] = Messages()
        self._latest_records: list[Record] = []
        #: Where the partitions of the latest messages stood before those.
        self._before: dict[TopicPartition, int] = {}

    # What is assigned

    def assigned(self, positions: Mapping[TopicPartition, int | None]) -> None:
        """Partitions are this consumer's from now on, at these positions; what was known of them is forgotten."""
        self.dropped(positions)
        self.moved(positions)

    def dropped(self, partitions: Iterable[TopicPartition]) -> None:
        """Partitions are not this consumer's any more."""
        gone = set(partitions)
        self.paused -= gone
        for partition in gone:
            for known in (self.positions, self._processed, self._committed, self._base, self._before):
                known.pop(partition, None)
        self._unbuffer(gone)

    def moved(self, positions: Mapping[TopicPartition, int | None]) -> None:
        """A seek: this is where the application wants to be, so what is before it counts as processed."""
        self._unbuffer(set(positions))
        for partition, position in positions.items():
            self.positions[partition] = position
            self._before.pop(partition, None)
            if position is None:
                self._processed.pop(partition, None)
                self._base.pop(partition, None)
            else:
                self._processed[partition] = position
                self._base[partition] = position

    # What is fetched and handed out

    def fetched(self, records: Iterable[Record], standing: Mapping[TopicPartition, int | None]) -> None:
        """A batch came, after which the broker stands there. What was handed out before is left out."""
        positions, buffer = self.positions, self._buffer
        of, partition, position = None, None, None
        for record in records:
            if of != (record["topic"], record["partition"]):
                of = record["topic"], record["partition"]
                partition = TopicPartition(*of)
                position = positions.get(partition)
            if partition in positions and (position is None or record["offset"] >= position):
                buffer.append(record)
        waiting = self.buffered()
        for partition, position in standing.items():
            known = positions.get(partition)
            if partition not in positions or partition in waiting or position is None:
                continue
            if known is None or known < position:
                # Offsets without a record (of a log that is compacted or trimmed) are passed over.
                positions[partition] = position
                self._processed[partition] = position

    def take(self, limit: int) -> list[Record]:
        """The next records to hand out, at most so many, without those of paused partitions."""
        if not self.paused:
            taken = self._buffer[:limit]
            del self._buffer[:limit]
            return taken
        taken = []
        left: list[Record] = []
        for record in self._buffer:
            held = len(taken) == limit or (record["topic"], record["partition"]) in self.paused
            (left if held else taken).append(record)
        self._buffer = left
        return taken

    def put_back(self, records: list[Record]) -> None:
        """Records that were taken, and not handed out after all."""
        self._buffer[:0] = records

    def hand_out(self, messages: Messages[K, V], records: list[Record]) -> None:
        """The application gets these messages, made of these records."""
        self._latest, self._latest_records, self._before = messages, records, {}
        for message in reversed(messages):
            self._before[message.topic, message.partition] = message.offset  # type: ignore[index]
        for partition, end in messages.ends().items():
            self.positions[partition] = end

    def give_back(self, messages: Messages[K, V], given: int) -> None:
        """Of these messages, if they are the latest, the application got only so many; the rest is handed out again."""
        if messages is not self._latest:
            return
        rest = self._latest_records[given:]
        kept = [record for record in rest if (record["topic"], record["partition"]) in self._before]
        for record in reversed(kept):
            self.positions[TopicPartition(record["topic"], record["partition"])] = record["offset"]
        self._buffer[:0] = kept
        del self._latest[given:]
        del self._latest_records[given:]

    def came_back(self) -> None:
        """The application wants more: what it was given is processed."""
        for partition in self._before:
            position = self.positions[partition]
            if position is not None:
                self._processed[partition] = position
        self._before = {}
        self._latest, self._latest_records = Messages(), []

    # What is to be committed

    def processed(self) -> dict[TopicPartition, int]:
        """What an automatic commit covers, as far as it is not committed yet."""
        return self._uncommitted(self._processed)

    def given(self) -> dict[TopicPartition, int]:
        """What an explicit commit covers: all that was handed out, and in a loop over messages what it was given."""
        points = {partition: offset for partition, offset in self.positions.items() if offset is not None}
        points.update(self._before)
        ends = self._latest.given_ends()
        points.update((partition, end) for partition, end in ends.items() if partition in self._before)
        return self._uncommitted(points)

    def committed(self, offsets: Mapping[TopicPartition, int]) -> None:
        """The broker has these."""
        for partition, offset in offsets.items():
            if partition in self.positions:
                self._committed[partition] = offset
                self._base[partition] = offset

    def base(self) -> dict[TopicPartition, int]:
        """Where to go on in each partition so that nothing that was not committed is left out."""
        return dict(self._base)

    def buffered(self) -> dict[TopicPartition, int]:
        """How many records of each partition wait in the buffer."""
        counts: dict[tuple[str, int], int] = {}
        for record in self._buffer:
            of = record["topic"], record["partition"]
            counts[of] = counts.get(of, 0) + 1
        return {TopicPartition(*of): count for of, count in counts.items()}

    def _uncommitted(self, points: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        return {partition: offset for partition, offset in points.items() if self._committed.get(partition) != offset}

    def _unbuffer(self, gone: set[TopicPartition]) -> None:
        if self._buffer:
            self._buffer = [r for r in self._buffer if (r["topic"], r["partition"]) not in gone]
