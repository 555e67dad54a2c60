"""The poll: asks the broker until there is something to hand out, through rebalances, restarts and lost connections.

In each round: what is in the buffer goes first; a session that ended is begun anew; what was processed is committed
when that is due; then one long poll, whose news (partitions that come and go) are dealt with before its records.
"""

from __future__ import annotations

import logging
import time
from typing import Callable, Generic, TypeVar

from ..errors import (
    ConsumerExpiredError,
    ConsumerFencedError,
    PartitionNotAssignedError,
    ServerError,
    TakhinError,
    WakeupError,
)
from ..records import TopicPartition
from ..transport.calls import Backoff, may_repeat, unavailable
from ..transport.lane import ConnectionLostError, InterruptedPollError
from ..wire import partitions_in
from .config import ConsumerConfig
from .keeper import Keeper
from .listener import RebalanceListener
from .membership import Batch, Membership
from .metrics import Counters
from .progress import Progress, Record

__all__ = ["Fetching"]

logger = logging.getLogger("distributedlog")

K = TypeVar("K")
V = TypeVar("V")

#: One long poll takes so long at most, so that a connection that went dead silently is noticed.
LONGEST_WAIT_S = 30.0
#: How soon a commit that failed is tried again, at most.
SOONEST_RETRY_S = 0.1


class Fetching(Generic[K, V]):
    """Brings records into a consumer's buffer, and keeps its membership and progress in step with the broker."""

    def __init__(
        self,
        config: ConsumerConfig,
        membership: Membership,
        progress: Progress[K, V],
        keeper: Keeper,
        counters: Counters,
    ) -> None:
        self.listener = RebalanceListener()
        #: The lag of each partition after the last batch, in records.
        self.lag: dict[TopicPartition, int] = {}
        self._config = config
        self._membership = membership
        self._progress = progress
        self._keeper = keeper
        self._counters = counters
        self._backoff: Backoff | None = None
        self._unreachable_since: float | None = None
        self._auto_commit = config.auto_commit and config.group_id is not None
        self._commit_interval_s = config.auto_commit_interval_ms / 1000
        self._committed_at = time.monotonic()
        #: Calls of the listener that are still to be made; one that raises must not cost the next one.
        self._untold: list[tuple[Callable[[list[TopicPartition]], None], list[TopicPartition]]] = []

    def records(self, limit: int, timeout_ms: float | None, at_once: int) -> list[Record]:
        """The next records, ``at_once`` at most; none if there were none within the time (None is for ever).

        ``limit`` is how many to ask the broker for. Raises :class:`WakeupError`, what the listener raises, and what
        the broker refuses for good.
        """
        deadline = None if timeout_ms is None else time.monotonic() + timeout_ms / 1000
        self._progress.came_back()
        asked = False
        while True:
            self._tell()
            if self._membership.expired:
                self._rejoin()
                continue
            self._commit_if_due()
            taken = self._progress.take(at_once)
            remaining_s = LONGEST_WAIT_S if deadline is None else deadline - time.monotonic()
            if taken or (asked and remaining_s <= 0):
                return taken
            self._round(limit, max(0, round(1000 * min(remaining_s, self._until_commit_s()))))
            asked = True

    def commit(self, points: dict[TopicPartition, int], *, once: bool = False) -> None:
        """Commits, after all commits that are under way; in one attempt, if it is to be done soon or not at all."""
        if not once:
            self._keeper.settle(self._config.api_timeout_ms / 1000)
        if points and not (once and self._keeper.is_committing):
            with self._counters.timed("commit"):
                self._membership.commit(points, {}, once=once)
            self._keeper.heard()
            self._progress.committed(points)

    def commit_kept(self, points: dict[TopicPartition, int], *, once: bool = False) -> None:
        """Commits, but for partitions that are gone and that a poll has not told of yet."""
        try:
            self.commit(points, once=once)
        except PartitionNotAssignedError:
            told = self._membership.get("assignment")
            kept = {*partitions_in(told["assignment"]), *partitions_in(told.get("revoking"))}
            self.commit({partition: offset for partition, offset in points.items() if partition in kept}, once=once)

    def joined(self, positions: dict[TopicPartition, int | None]) -> None:
        """The subscription is new or another: these are the partitions now. What stays goes on where it was."""
        progress = self._progress
        progress.dropped(set(progress.positions) - set(positions))
        progress.assigned({p: at for p, at in positions.items() if p not in progress.positions})
        self._keeper.heard()
        self._keeper.start()

    def _round(self, limit: int, wait_ms: int) -> None:
        """One long poll, and what follows from its answer."""
        wait_ms = min(wait_ms, round(1000 * LONGEST_WAIT_S))
        if self._config.fetch_min_bytes > 1:
            wait_ms = min(wait_ms, self._config.fetch_max_wait_ms)
        try:
            with self._counters.timed("fetch"):
                batch = self._membership.poll(limit, wait_ms, self._progress.positions)
        except InterruptedPollError:
            raise WakeupError("wakeup() ended this poll; the next one goes on where it was") from None
        except ConnectionLostError as error:
            self._unreachable(error, wait_ms)
        except ConsumerExpiredError as error:
            logger.warning("the consumer's session ended: %s", error)
            self._membership.expired = True
        except ServerError as error:
            if self._membership.recall(error) or error.code == "poll_superseded":
                return
            self._membership.fenced |= isinstance(error, ConsumerFencedError)
            if not may_repeat(error, repeatable=True):
                raise
            self._unreachable(error, wait_ms, error.retry_after_s)
        else:
            self._backoff = self._unreachable_since = None
            self._keeper.heard()
            self._take(batch)

    def _take(self, batch: Batch) -> None:
        progress = self._progress
        try:
            if batch.revoked:
                self._counters.add("rebalances")
                self._give_up(batch.revoked)
        finally:
            progress.dropped(batch.revoked)
            if batch.assigned:
                progress.assigned({partition: _start(partition, batch) for partition in batch.assigned})
                self._untold.append((self.listener.on_partitions_assigned, batch.assigned))
            progress.fetched(batch.records, batch.positions)
            self.lag = batch.lag
            self._counters.add("records", len(batch.records))

    def _give_up(self, revoked: list[TopicPartition]) -> None:
        """The broker hands these on when it is polled again: now is the last time to commit for them."""
        if self._auto_commit:
            self._try_commit(once=False)
        self.listener.on_partitions_revoked(revoked)

    def _tell(self) -> None:
        while self._untold:
            tell, partitions = self._untold.pop(0)
            tell(partitions)

    def _commit_if_due(self) -> None:
        if self._auto_commit and time.monotonic() - self._committed_at >= self._commit_interval_s:
            self._committed_at = time.monotonic()
            # A poll is not to take longer than it may because the broker is away.
            self._try_commit(once=True)

    def _until_commit_s(self) -> float:
        """How long a poll may wait before a commit is due."""
        if not self._auto_commit or not self._progress.processed():
            return LONGEST_WAIT_S
        return max(self._committed_at + self._commit_interval_s - time.monotonic(), SOONEST_RETRY_S)

    def _try_commit(self, *, once: bool) -> None:
        """Commits what was processed. If that fails the next time will do, for nothing is lost by it."""
        try:
            self.commit_kept(self._progress.processed(), once=once)
        except ConsumerExpiredError:
            self._membership.expired = True
        except (TakhinError, ConnectionLostError) as error:
            logger.warning("what was processed could not be committed yet: %s", error)

    def _rejoin(self) -> None:
        """The session ended, and others may have the partitions: begins another."""
        progress, membership = self._progress, self._membership
        before, own = progress.base(), self._config.group_id is None or membership.subscription.manual is not None
        handed_out = {p: at for p, at in progress.positions.items() if at is not None}
        if progress.positions and not own:
            lost = sorted(progress.positions)
            progress.dropped(lost)
            self._untold.append((self.listener.on_partitions_lost, lost))
        positions = membership.join(membership.subscription)
        self._counters.add("rejoins")
        if own:
            # Nobody else can have read them: it goes on where it was.
            positions = self._go_back(positions, handed_out)
        else:
            self._untold.append((self.listener.on_partitions_assigned, sorted(positions)))
            positions = self._go_back(positions, self._never_committed(before))
        paused = progress.paused & set(positions)
        self.joined(positions)
        if paused:
            progress.paused = membership.pause(paused, paused=True)

    def _never_committed(self, before: dict[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Of these, where the group has no offset: ``latest`` would leave out what came since."""
        committed = self._membership.get("committed")["offsets"]
        return {p: at for p, at in before.items() if committed.get(p.topic, {}).get(str(p.partition)) is None}

    def _go_back(
        self, positions: dict[TopicPartition, int | None], wanted: dict[TopicPartition, int]
    ) -> dict[TopicPartition, int | None]:
        """Seeks to where it was, in those partitions that it has again and where that is still within the log."""
        for partition, offset in wanted.items():
            if partition not in positions or positions[partition] == offset:
                continue
            where = {"topic": partition.topic, "partition": partition.partition, "offset": offset}
            try:
                positions.update(self._membership.seek(where))
            except ServerError as error:
                if error.code not in ("offset_out_of_range", "offset_trimmed"):
                    raise
                logger.warning("%s/%s can't be read on from %s: %s", *partition, offset, error)
        return positions

    def _unreachable(self, error: Exception, wait_ms: int, retry_after_s: float | None = None) -> None:
        """Waits a little, since the broker can't be reached; gives up after ``api_timeout_ms`` without an answer."""
        now = time.monotonic()
        if self._backoff is None or self._unreachable_since is None:
            self._backoff, self._unreachable_since = Backoff(self._config), now
            logger.warning("the broker could not be polled, trying on: %s", error)
        if now - self._unreachable_since > self._config.api_timeout_ms / 1000:
            since, self._backoff, self._unreachable_since = self._unreachable_since, None, None
            raise unavailable(now - since, error) from error
        self._counters.add("retries")
        self._membership.calls.lane.pause(min(self._backoff.next_s(retry_after_s), max(wait_ms / 1000, 0.001)))


def _start(partition: TopicPartition, batch: Batch) -> int | None:
    """Where a partition that is new stood before the batch."""
    for record in batch.records:
        if record["topic"] == partition.topic and record["partition"] == partition.partition:
            return int(record["offset"])
    return batch.positions.get(partition)
