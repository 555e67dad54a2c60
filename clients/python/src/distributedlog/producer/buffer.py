"""Records that wait to be acknowledged: batches by partition, bounded by what they weigh.

Each partition is sent by one thread at a time, batch after batch, so its records stay in their order. All of it is
guarded by one condition, which whoever waits (for room, for work, for the end of a batch) waits on.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from ..errors import BufferFullError, ClosedError
from ..records import RecordMetadata, TopicPartition

if TYPE_CHECKING:
    from .config import ProducerConfig

__all__ = ["Batch", "Buffer", "Delivery", "Lot"]

#: The outcome of one record.
Delivery = Future[RecordMetadata]

#: How many records a batch has at most, whatever they weigh.
MOST_RECORDS = 10_000


class Batch:
    """Records for one partition that go in one request."""

    __slots__ = ("bytes", "created_s", "deliveries", "number", "records")

    def __init__(self, number: int, created_s: float) -> None:
        #: Batches are numbered in the order in which they were begun.
        self.number = number
        self.created_s = created_s
        self.records: list[dict[str, Any]] = []
        self.deliveries: list[Delivery] = []
        self.bytes: list[int] = []

    def add(self, record: dict[str, Any], size: int, delivery: Delivery) -> None:
        self.records.append(record)
        self.bytes.append(size)
        self.deliveries.append(delivery)

    def split(self, at: int) -> Batch:
        """Keeps what is before ``at``, and gives the rest as another batch."""
        rest = Batch(self.number, self.created_s)
        rest.records, self.records = self.records[at:], self.records[:at]
        rest.deliveries, self.deliveries = self.deliveries[at:], self.deliveries[:at]
        rest.bytes, self.bytes = self.bytes[at:], self.bytes[:at]
        return rest


class Lot:
    """What goes to one partition, and how far its records are counted."""

    def __init__(self, partition: TopicPartition) -> None:
        self.partition = partition
        #: What waits; records join the last one.
        self.batches: deque[Batch] = deque()
        #: What is being sent.
        self.sending: Batch | None = None
        #: The weight of the newest batch.
        self.open_bytes = 0
        self.epoch = 0
        self.sequence = 0

    def begin_epoch(self) -> None:
        """Counts from 0 again; what was sent before and arrives yet is refused by the broker."""
        self.epoch += 1
        self.sequence = 0


class Buffer:
    """All lots of a producer."""

    def __init__(self, config: ProducerConfig) -> None:
        self.changed = threading.Condition()
        #: No record is taken any more; what is there is sent at once.
        self.closing = False
        #: What is there is given up.
        self.aborted = False
        #: How many senders wait for work.
        self.idle = 0
        self._config = config
        self._linger_s = config.linger_ms / 1000
        self._used_bytes = 0
        self._lots: dict[TopicPartition, Lot] = {}
        #: Lots with something to send, those first that had their last turn longest ago.
        self._pending: dict[TopicPartition, Lot] = {}
        self._begun = 0
        #: Batches up to this number are sent without lingering.
        self._flushed = 0
        self._unacknowledged = 0

    def append(
        self, partition: TopicPartition, record: dict[str, Any], size: int, *, block: bool = True
    ) -> Delivery | None:
        """Takes a record. Waits for room if it may, and else gives None where there is none.

        Raises :class:`BufferFullError` after ``max_block_ms``. A record that is larger than the whole buffer is taken
        when that is empty.
        """
        delivery: Delivery = Future()
        with self.changed:
            if not self._has_room(size):
                if not block:
                    return None
                limit_s = self._config.max_block_ms / 1000
                if not self.changed.wait_for(lambda: self.closing or self._has_room(size), limit_s):
                    raise BufferFullError(
                        f"the buffer of {self._config.buffer_memory} bytes stayed full for "
                        f"{self._config.max_block_ms} ms: the broker is slower than send(), or away; "
                        "raise buffer_memory or send less"
                    )
            if self.closing:
                raise ClosedError("this producer is closed: make a new one")
            self._used_bytes += size
            self._put(partition, record, size, delivery)
            return delivery

    def has_open_batch(self, partition: TopicPartition) -> bool:
        """Whether a record for this partition would join others."""
        lot = self._lots.get(partition)
        return lot is not None and bool(lot.batches) and lot.open_bytes < self._config.batch_size

    def work(self) -> tuple[Lot, Batch] | None:
        """Waits for a lot whose first batch is due. The caller has both alone until :meth:`done`. None is the end."""
        with self.changed:
            self.idle += 1
            try:
                while True:
                    now = time.monotonic()
                    due_s = None
                    for lot in self._pending.values():
                        wait_s = self._due_s(lot, now)
                        if wait_s <= 0:
                            del self._pending[lot.partition]
                            lot.sending = lot.batches.popleft()
                            return lot, lot.sending
                        due_s = wait_s if due_s is None else min(due_s, wait_s)
                    if self.closing and not any(lot.sending for lot in self._lots.values()):
                        return None
                    self.changed.wait(due_s)
            finally:
                self.idle -= 1

    def done(self, lot: Lot, rest: Batch | None = None) -> None:
        """What was being sent has been dealt with, but for the rest, which comes next."""
        with self.changed:
            lot.sending = None
            if rest is not None:
                lot.batches.appendleft(rest)
                lot.open_bytes = sum(lot.batches[-1].bytes)
            if lot.batches:
                self._pending[lot.partition] = lot
            self.changed.notify_all()

    def release(self, batch: Batch) -> None:
        """The records of a batch are acknowledged or given up: there is room again."""
        with self.changed:
            self._used_bytes -= sum(batch.bytes)
            self._unacknowledged -= len(batch.records)
            self.changed.notify_all()

    def flush(self, timeout_s: float | None) -> int:
        """Sends all that is there without lingering, and waits for it. Gives how many records are left in the end."""
        with self.changed:
            last = self._flushed = self._begun
            self.changed.notify_all()
            self.changed.wait_for(lambda: not self._unfinished(last), timeout_s)
            return self._unfinished(last)

    def close(self) -> None:
        """Takes no record any more. Senders end when all is sent."""
        with self.changed:
            self.closing = True
            self.changed.notify_all()

    def abort(self) -> None:
        """Gives up all that is there."""
        with self.changed:
            self.closing = self.aborted = True
            self.changed.notify_all()

    def pause(self, seconds: float) -> None:
        """Waits before an attempt is repeated, but not for what is given up."""
        with self.changed:
            self.changed.wait_for(lambda: self.aborted, seconds)

    def figures(self) -> dict[str, float]:
        with self.changed:
            return {"buffer_used_bytes": self._used_bytes, "records_unacknowledged": self._unacknowledged}

    def _put(self, partition: TopicPartition, record: dict[str, Any], size: int, delivery: Delivery) -> None:
        lot = self._lots.get(partition)
        if lot is None:
            lot = self._lots[partition] = Lot(partition)
        fresh = not lot.batches or lot.open_bytes + size > self._config.batch_size
        if fresh or len(lot.batches[-1].records) >= MOST_RECORDS:
            self._begun += 1
            lot.batches.append(Batch(self._begun, time.monotonic()))
            lot.open_bytes = 0
        lot.batches[-1].add(record, size, delivery)
        lot.open_bytes += size
        self._unacknowledged += 1
        if lot.sending is None:
            self._pending[partition] = lot
            if self.idle and (fresh or lot.open_bytes >= self._config.batch_size):
                self.changed.notify_all()

    def _due_s(self, lot: Lot, now: float) -> float:
        first = lot.batches[0]
        full = len(lot.batches) > 1 or lot.open_bytes >= self._config.batch_size
        if full or self.closing or first.number <= self._flushed or not self._has_room(1):
            return 0.0
        return first.created_s + self._linger_s - now

    def _has_room(self, size: int) -> bool:
        return self._used_bytes == 0 or self._used_bytes + size <= self._config.buffer_memory

    def _unfinished(self, last: int) -> int:
        """How many records of batches up to this number are not dealt with."""
        batches = [batch for lot in self._lots.values() for batch in (lot.sending, *lot.batches)]
        return sum(len(batch.records) for batch in batches if batch is not None and batch.number <= last)
