"""The life of a consumer: what it is made of, what it subscribes to, and how it ends."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Generic, TypeVar, Union

from ..config import from_options
from ..errors import (
    CommitFailedError,
    ConfigurationError,
    ConsumerExpiredError,
    NotSubscribedError,
    PartitionNotAssignedError,
    TakhinError,
)
from ..guard import Guard, close_at_exit
from ..records import TopicPartition
from ..topics import Topics
from .config import ConsumerConfig
from .fetching import Fetching, logger
from .keeper import Keeper
from .listener import RebalanceListener
from .membership import Membership, Subscription
from .metrics import Counters
from .progress import Progress

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Life", "Partitions", "listed"]

K = TypeVar("K")
V = TypeVar("V")

#: One partition, or several.
Partitions = Union[TopicPartition, Iterable[TopicPartition]]

#: How long leaving may take when the interpreter ends, in milliseconds.
EXIT_TIMEOUT_MS = 3_000


def listed(partitions: Iterable[Partitions]) -> list[TopicPartition]:
    """Partitions, given one by one or as lists."""
    found: list[TopicPartition] = []
    for given in partitions:
        if isinstance(given, TopicPartition):
            found.append(given)
        else:
            found.extend(TopicPartition(*partition) for partition in given)
    return found


class Life(Generic[K, V]):
    """A consumer without its verbs."""

    def __init__(self, config: ConsumerConfig | None, options: Mapping[str, Any]) -> None:
        # Until it is made, there is nothing to close.
        self._guard = Guard("consumer")
        self._guard.closed = True
        #: The options, with all defaults.
        self.config = from_options(ConsumerConfig, options, config)
        self._membership = Membership(self.config)
        self._topics = Topics(self._membership.calls)
        self._progress: Progress[K, V] = Progress()
        self._counters = Counters()
        self._keeper = Keeper(self.config, self._membership)
        self._fetching = Fetching(self.config, self._membership, self._progress, self._keeper, self._counters)
        self._guard.closed = False
        close_at_exit(self)

    def subscribe(
        self,
        topics: str | Iterable[str] = (),
        pattern: str | re.Pattern[str] | None = None,
        listener: RebalanceListener | None = None,
    ) -> None:
        """Reads these topics from now on, or all whose whole name matches the pattern, instead of what it read before.

        The group shares the partitions; they are assigned when this returns. The broker evaluates the pattern (the
        syntax of Rust's ``regex``), for topics that come later too. Raises :class:`UnknownTopicError`.
        """
        with self._guard:
            names = (topics,) if isinstance(topics, str) else tuple(topics)
            if bool(names) == (pattern is not None):
                raise ConfigurationError("subscribe needs topics or a pattern, and not both")
            text = pattern.pattern if isinstance(pattern, re.Pattern) else pattern
            self._fetching.listener = listener or RebalanceListener()
            self._want(Subscription(names, text))
            assigned = sorted(self._progress.positions)
            if assigned:
                self._fetching.listener.on_partitions_assigned(assigned)

    def assign(self, partitions: Partitions) -> None:
        """Reads exactly these partitions from now on, whatever other members have: nobody is rebalanced."""
        with self._guard:
            self._fetching.listener = RebalanceListener()
            self._want(Subscription(manual=tuple(listed([partitions]))))

    def unsubscribe(self) -> None:
        """Leaves the group, after the commit that ``auto_commit`` owes, and reads nothing until it is told what."""
        with self._guard:
            if not self._membership.is_over:
                self._commit_last(self._progress.given())
                self._membership.leave(self.config.api_timeout_ms / 1000)
            self._membership.consumer_id = None
            self._progress.dropped(list(self._progress.positions))
            self._membership.subscription = Subscription()

    def assignment(self) -> set[TopicPartition]:
        """The partitions that are its own at the moment."""
        with self._guard:
            return set(self._progress.positions)

    def subscription(self) -> set[str]:
        """The topics that it is subscribed to; with a pattern those that match now. Empty with ``assign()``."""
        with self._guard:
            wanted = self._membership.subscription
            if wanted.pattern is not None and self._membership.consumer_id is not None:
                return set(self._membership.get("subscription")["topics"])
            return set(wanted.topics)

    def close(self, *, autocommit: bool = True, timeout_ms: int | None = None) -> None:
        """Commits what was handed out (with ``auto_commit``, and unless told not to), and leaves the group.

        In the midst of a loop over messages only what the loop was given is committed. Closing again does nothing.
        """
        if self._guard.closed or self._guard.forked:
            return
        with self._guard:
            self._end(self._progress.given() if autocommit else {}, timeout_ms)

    def __enter__(self) -> Self:
        self._guard.check()
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        """Closes it. After an exception the messages of the last poll are not committed, and so come again."""
        if self._guard.closed or self._guard.forked:
            return
        if kind is None:
            self.close()
            return
        with self._guard:
            try:
                self._end(self._progress.processed(), None)
            except TakhinError as error:
                # The exception that is under way says more.
                logger.warning("the consumer could not be closed properly: %s", error)

    def __del__(self) -> None:
        if not self._guard.closed and not self._guard.forked and self._membership.consumer_id is not None:
            warnings.warn(
                "a consumer was not closed; its partitions are free after session_timeout_ms",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )
            self._guard.closed = True
            self._keeper.stop()

    def _close_at_exit(self) -> None:
        if not self._guard.closed and not self._guard.forked and self._membership.consumer_id is not None:
            warnings.warn("a consumer was not closed before the end", ResourceWarning, stacklevel=2, source=self)
            with self._guard:
                self._end(self._progress.processed(), EXIT_TIMEOUT_MS)

    def _end(self, points: dict[TopicPartition, int], timeout_ms: int | None) -> None:
        timeout_s = (self.config.api_timeout_ms if timeout_ms is None else timeout_ms) / 1000
        try:
            if not self._membership.is_over:
                try:
                    self._commit_last(points)
                finally:
                    self._membership.leave(timeout_s)
        finally:
            self._guard.closed = True
            self._keeper.stop()
            self._membership.calls.close()

    def _want(self, subscription: Subscription) -> None:
        membership = self._membership
        if membership.is_over:
            positions = membership.join(subscription)
        else:
            self._commit_last(self._progress.given())
            positions = membership.change(subscription)
        self._fetching.joined(positions)

    def _commit_last(self, points: dict[TopicPartition, int]) -> None:
        if self.config.auto_commit and self.config.group_id is not None:
            self._committing(lambda: self._fetching.commit_kept(points))

    def _committing(self, commit: Callable[[], None]) -> None:
        try:
            commit()
        except ConsumerExpiredError as error:
            self._membership.expired = True
            raise CommitFailedError(f"the session ended before the commit, so messages come again: {error}") from error
        except PartitionNotAssignedError as error:
            raise CommitFailedError(f"nothing was committed, and the next poll tells what is gone: {error}") from error

    def _reading(self) -> None:
        if self._membership.consumer_id is None:
            raise NotSubscribedError("nothing is assigned yet: call subscribe() or assign() first")

    def _own(self, partition: TopicPartition) -> TopicPartition:
        self._reading()
        own = TopicPartition(*partition)
        if own not in self._progress.positions:
            held = ", ".join(f"{topic}/{number}" for topic, number in sorted(self._progress.positions)) or "nothing"
            message = f"{own.topic}/{own.partition} is not assigned to this consumer, which has {held}"
            raise PartitionNotAssignedError(message, code="partition_not_assigned")
        return own
