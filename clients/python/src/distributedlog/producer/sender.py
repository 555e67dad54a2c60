"""Sends batches, one at a time of each partition, until the broker acknowledges them or they are given up.

What keeps a record from being written twice, or out of order:

* A batch that is sent again bears the same producer, epoch and sequence, by which the broker knows it.
* Only the definite refusal of a batch lets the next one take its sequence.
* A batch of which it will never be known whether it was written ends its epoch: if it still arrives, it is refused.
* Without idempotence a batch is sent again only if the broker can't have taken it. So it is with a broker that refuses
  numbers since its records are in Kafka.
"""

from __future__ import annotations

import contextlib
import logging
import random
import re
import time
from concurrent.futures import InvalidStateError
from typing import TYPE_CHECKING, Any

from ..errors import (
    BrokerUnavailableError,
    DeliveryTimeoutError,
    OutcomeUnknownError,
    SequenceGapError,
    ServerError,
    TakhinError,
)
from ..records import RecordMetadata
from ..transport.calls import Backoff, Calls, may_repeat, segment
from ..transport.lane import ConnectionLostError

if TYPE_CHECKING:
    from .buffer import Batch, Buffer, Delivery, Lot
    from .config import ProducerConfig

__all__ = ["Sender"]

logger = logging.getLogger("distributedlog")

#: How often a batch may begin a new epoch because the broker has forgotten the producer.
MOST_EPOCHS = 3


class Sender:
    """One thread's worth of sending, over a connection of its own."""

    def __init__(self, config: ProducerConfig, buffer: Buffer, producer_id: int) -> None:
        self.sent_records = 0
        self.failed_records = 0
        self.requests = 0
        self.retries = 0
        self._config = config
        self._buffer = buffer
        self._producer_id = producer_id
        #: Whether batches are numbered: until the broker says that it has no use for it.
        self.numbered = config.idempotent
        self._calls = Calls(config)

    def run(self) -> None:
        """Works until the buffer is closed and empty."""
        while (work := self._buffer.work()) is not None:
            lot, batch = work
            rest = None
            try:
                rest = _Delivering(self, lot, batch).run()
            except Exception as error:
                # A bug; but whoever waits for these records has to hear of it.
                logger.exception("a batch for %s/%s could not be sent", *lot.partition)
                self.fail(lot, batch, TakhinError(f"the batch could not be sent: {error!r}"))
            finally:
                self._buffer.done(lot, rest)
        self._calls.close()

    def post(self, lot: Lot, batch: Batch, timeout_s: float) -> Any:
        """One attempt."""
        body: dict[str, Any] = {"records": batch.records}
        if self.numbered:
            body.update(producer_id=self._producer_id, epoch=lot.epoch, sequence=lot.sequence)
        if self._config.compression is not None:
            body["compression"] = self._config.compression
        self.requests += 1
        path = f"/api/topics/{segment(lot.partition.topic)}/produce"
        return self._calls.once("POST", path, body, timeout_s=timeout_s)

    def acknowledge(self, lot: Lot, batch: Batch, answer: Any) -> None:
        """The batch is written: tells all who wait for it."""
        topic, partition = lot.partition
        lot.sequence += len(batch.records)
        self.sent_records += len(batch.records)
        self._buffer.release(batch)
        for delivery, record, written in zip(batch.deliveries, batch.records, answer["offsets"]):
            timestamp = written.get("timestamp", record.get("timestamp"))
            try:
                delivery.set_result(RecordMetadata(topic, partition, written["offset"], timestamp))
            except InvalidStateError:
                continue

    def fail(self, lot: Lot, batch: Batch, error: Exception) -> None:
        """The batch is given up: tells all who wait for it."""
        self.failed_records += len(batch.records)
        self._buffer.release(batch)
        logger.error("%d records for %s/%s were not acknowledged: %s", len(batch.records), *lot.partition, error)
        for delivery in batch.deliveries:
            _fail(delivery, error)

    def pause(self, seconds: float) -> None:
        self.retries += 1
        self._buffer.pause(seconds)

    @property
    def config(self) -> ProducerConfig:
        return self._config

    @property
    def aborted(self) -> bool:
        return self._buffer.aborted


class _Delivering:
    """The attempts to send one batch."""

    def __init__(self, sender: Sender, lot: Lot, batch: Batch) -> None:
        self._sender = sender
        self._lot = lot
        self._batch = batch
        self._rest: Batch | None = None
        self._backoff = Backoff(sender.config)
        #: Whether an attempt so far may have been applied unheard.
        self._may_be_written = False
        self._epochs = 0

    def run(self) -> Batch | None:
        """Sends it or gives it up. What is left of it, if it was too large for one request, is to be sent next."""
        deadline_s = self._batch.created_s + self._sender.config.delivery_timeout_ms / 1000
        last_error: Exception | None = None
        while self._batch.records:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or self._sender.aborted:
                self._give_up(last_error)
                break
            try:
                answer = self._sender.post(self._lot, self._batch, max(left_s, 0.1))
            except ConnectionLostError as error:
                last_error = error
                if not self._lost(error, deadline_s):
                    break
            except ServerError as error:
                last_error = error
                if not self._refused(error):
                    break
            else:
                self._sender.acknowledge(self._lot, self._batch, answer)
                break
        return self._rest

    def _lost(self, error: ConnectionLostError, deadline_s: float) -> bool:
        """Whether to try again after there was no answer."""
        self._may_be_written |= error.sent
        if error.sent and not self._sender.numbered:
            unknown = OutcomeUnknownError(f"the answer was lost, and the records may be written: {error}")
            self._sender.fail(self._lot, self._batch, unknown)
            return False
        logger.warning("a batch for %s/%s was not answered, trying on: %s", *self._lot.partition, error)
        self._sender.pause(min(self._backoff.next_s(), max(deadline_s - time.monotonic(), 0.0)))
        return True

    def _refused(self, error: ServerError) -> bool:
        """Whether to try again after the broker said no."""
        if isinstance(error, SequenceGapError):
            return self._forgotten(error)
        if error.code == "unsupported" and self._sender.numbered and not self._may_be_written:
            logger.info(
                "the broker does not recognise what it has seen: nothing is numbered, nor sent twice, from now on"
            )
            self._sender.numbered = False
            return True
        if error.status == 413 and error.code != "record_too_large" and len(self._batch.records) > 1:
            rest = self._batch.split(len(self._batch.records) // 2)
            self._rest = rest if self._rest is None else _joined(rest, self._rest)
            return True
        if (wrong := self._wrong_record(error)) is not None:
            self._fail_one(wrong, error)
            return True
        if not may_repeat(error, repeatable=self._sender.numbered):
            unknown = self._may_be_written or (error.may_be_applied and error.status >= 500)
            self._sender.fail(self._lot, self._batch, error)
            if unknown:
                self._lot.begin_epoch()
            return False
        self._may_be_written |= error.may_be_applied
        logger.warning("the broker asks to send a batch later: %s", error)
        self._sender.pause(self._backoff.next_s(error.retry_after_s))
        return True

    def _forgotten(self, error: SequenceGapError) -> bool:
        """The broker does not know the producer any more: safe to begin anew only if this batch can't be written."""
        self._lot.begin_epoch()
        self._epochs += 1
        if self._may_be_written or self._epochs > MOST_EPOCHS:
            self._sender.fail(self._lot, self._batch, error)
            return False
        return True

    def _wrong_record(self, error: ServerError) -> int | None:
        """Which record of several the broker would not take, if it says so."""
        named = re.match(r"records\[(\d+)\]", str(error.details.get("field", "")))
        if named is None or self._may_be_written or len(self._batch.records) == 1:
            return None
        index = int(named.group(1))
        return index if index < len(self._batch.records) else None

    def _fail_one(self, index: int, error: ServerError) -> None:
        """Takes one record out of the batch; the others do not suffer for it."""
        after = self._batch.split(index)
        wrong, others = after, after.split(1)
        self._sender.fail(self._lot, wrong, error)
        _joined(self._batch, others)

    def _give_up(self, last_error: Exception | None) -> None:
        waited_s = time.monotonic() - self._batch.created_s
        why = "the producer was closed" if self._sender.aborted else "delivery_timeout_ms is over"
        text = f"not acknowledged after {waited_s:.1f} s ({why}); the last attempt: {last_error or 'none was made'}"
        if self._may_be_written:
            self._sender.fail(self._lot, self._batch, DeliveryTimeoutError(f"{text}. The records may be written"))
            self._lot.begin_epoch()
        else:
            self._sender.fail(self._lot, self._batch, BrokerUnavailableError(f"{text}. The records are not written"))


def _joined(first: Batch, second: Batch) -> Batch:
    first.records += second.records
    first.deliveries += second.deliveries
    first.bytes += second.bytes
    return first


def _fail(delivery: Delivery, error: Exception) -> None:
    # Who cancelled it does not want to hear of it. The record itself can't be called back.
    with contextlib.suppress(InvalidStateError):
        delivery.set_exception(error)


def draw_producer_id() -> int:
    """An id that nobody else has: one of 2^53."""
    return random.SystemRandom().randrange(1 << 53)
