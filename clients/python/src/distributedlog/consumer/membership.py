"""The consumer as the broker knows it: its id, its subscription, and every request that is made for it.

All requests can be repeated: the id is drawn here, offsets are absolute, and a poll names the batch it has. So a
lost response is asked for again, and nothing is applied twice.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..errors import ConsumerExpiredError, ConsumerFencedError, ServerError
from ..records import TopicPartition
from ..transport.calls import Calls
from ..wire import by_topic, grouped, partitions_in, per_partition
from .config import ConsumerConfig
from .progress import Record

__all__ = ["Batch", "Membership", "Subscription"]

#: No topic can have this name, so as a pattern it matches nothing: a subscription to no topic at all.
NO_TOPIC = "/"


class Subscription(NamedTuple):
    """What a consumer wants: topics by name, topics by pattern, or partitions taken by hand."""

    topics: tuple[str, ...] = ()
    pattern: str | None = None
    manual: tuple[TopicPartition, ...] | None = None

    def wanted(self, allow_missing: bool) -> dict[str, Any]:
        """As the broker is told. Who takes partitions by hand joins with no topic, which rebalances nobody."""
        if self.manual is not None:
            return {"topic_pattern": NO_TOPIC}
        if self.pattern is not None:
            return {"topic_pattern": self.pattern}
        return {"topics": list(self.topics), "allow_missing": allow_missing}


class Batch(NamedTuple):
    """What a poll brought."""

    records: list[Record]
    positions: dict[TopicPartition, int | None]
    lag: dict[TopicPartition, int]
    #: Partitions that are new or were lost in between, and those that have to be given up.
    assigned: list[TopicPartition]
    revoked: list[TopicPartition]


class Membership:
    """One consumer at the broker, and its successors if its session ends."""

    def __init__(self, config: ConsumerConfig) -> None:
        self.calls = Calls(config)
        self.group_id = config.group_id or f"anonymous-{uuid.uuid4()}"
        self.subscription = Subscription()
        #: None as long as the broker knows of none.
        self.consumer_id: str | None = None
        #: Set by whoever hears that the session ended.
        self.expired = False
        #: Another consumer with the same instance id has the place; this one is not to take it back.
        self.fenced = False
        self._config = config
        self._after_batch = 0
        self._generation = 0

    @property
    def is_over(self) -> bool:
        """Whether the broker knows of no such consumer any more, as far as is known here."""
        return self.consumer_id is None or self.expired or self.fenced

    @property
    def path(self) -> str:
        return f"/api/consumers/{self.consumer_id}"

    def join(self, subscription: Subscription) -> dict[TopicPartition, int | None]:
        """Becomes a consumer with this subscription. Gives its partitions and where it stands in them."""
        consumer_id = str(uuid.uuid4())
        wanted = subscription.wanted(self._config.allow_missing_topics)
        told = {"group_id": self.group_id, "consumer_id": consumer_id, **wanted, **self._config.joining()}
        joined = self.calls.call("POST", "/api/consumers/subscribe", told)
        self.consumer_id, self._after_batch = consumer_id, 0
        self.expired = self.fenced = False
        if subscription.manual is not None:
            joined = self._take(subscription.manual)
        self.subscription = subscription
        return self._standing(joined)

    def change(self, subscription: Subscription) -> dict[TopicPartition, int | None]:
        """Wants something else from now on. Gives what it has then."""
        if subscription.manual is not None:
            changed = self._take(subscription.manual)
        else:
            wanted = subscription.wanted(self._config.allow_missing_topics)
            changed = self.calls.call("PUT", f"{self.path}/subscription", wanted)
        self.subscription = subscription
        return self._standing(changed)

    def poll(self, max_records: int, wait_ms: int, known: Iterable[TopicPartition]) -> Batch:
        """One poll, one attempt. ``known`` is what the consumer thinks it has.

        Raises what :meth:`Calls.once` does. A batch that was on its way when the connection broke comes with the next
        poll, for this one still names the batch before it.
        """
        asked = {
            "max_records": max_records,
            "max_bytes_total": self._config.fetch_max_bytes,
            "min_bytes": self._config.fetch_min_bytes,
            "timeout_ms": wait_ms,
            "after_batch": self._after_batch,
        }
        answer = self.calls.once("POST", f"{self.path}/consume", asked, wait_s=wait_ms / 1000, interruptible=True)
        self._after_batch = answer["batch_id"]
        return self._batch(answer, set(known))

    def recall(self, error: ServerError) -> bool:
        """Whether a poll was refused since the broker crashed and remembers an earlier batch than the last.

        The next poll names that one. What comes twice is left out by its offset.
        """
        if error.code != "batch_unknown":
            return False
        self._after_batch = int(error.details["previous"])
        return True

    def _batch(self, answer: Mapping[str, Any], known: set[TopicPartition]) -> Batch:
        change = answer.get("rebalance")
        positions = per_partition(answer["positions"])
        revoked = partitions_in(change["revoked"]) if change else []
        told = set(partitions_in(change["assigned"])) if change else set()
        if change is None and answer["generation"] != self._generation:
            # After a crash nobody says what changed, and what is known may be of a time before that.
            told = set(positions)
        self._generation = answer["generation"]
        given_up = (known - set(positions)) | (set(revoked) & known)
        assigned = [partition for partition in positions if partition in told or partition not in known]
        return Batch(answer["records"], positions, per_partition(answer["lag"]), assigned, sorted(given_up))

    def commit(
        self,
        offsets: Mapping[TopicPartition, int],
        metadata: Mapping[TopicPartition, str],
        *,
        calls: Calls | None = None,
        once: bool = False,
    ) -> None:
        """Commits all of these or none. ``calls`` is what to use in another thread than the consumer's.

        In one attempt it may raise :class:`ConnectionLostError`.
        """
        told: dict[str, Any] = {"offsets": by_topic(offsets)}
        if metadata:
            told["metadata"] = by_topic(metadata)
        through = self.calls if calls is None else calls
        (through.once if once else through.call)("POST", f"{self.path}/commit", told)

    def seek(self, where: Mapping[str, Any]) -> dict[TopicPartition, int | None]:
        """Moves positions as the API's seek does. Gives all positions after it."""
        answer = self.calls.call("POST", f"{self.path}/seek", where)
        return per_partition(answer["positions"])

    def pause(self, partitions: Iterable[TopicPartition], *, paused: bool) -> set[TopicPartition]:
        """Pauses or resumes. Gives what is paused then."""
        answer = self.calls.call(
            "POST", f"{self.path}/{'pause' if paused else 'resume'}", {"partitions": grouped(partitions)}
        )
        return set(partitions_in(answer["paused"]))

    def get(self, what: str = "") -> Any:
        """What the broker says of the consumer: everything, or its ``position``, ``committed``, ``subscription`` …"""
        return self.calls.call("GET", f"{self.path}/{what}" if what else self.path)

    def leave(self, timeout_s: float) -> None:
        """Says goodbye, so that its partitions are free at once."""
        if self.consumer_id is None:
            return
        try:
            self.calls.call("DELETE", self.path, timeout_s=timeout_s)
        except (ConsumerExpiredError, ConsumerFencedError):
            # It is gone: its session ended, or an earlier attempt was heard.
            pass
        finally:
            self.consumer_id = None

    def _take(self, partitions: Iterable[TopicPartition]) -> Any:
        return self.calls.call("PUT", f"{self.path}/assignment", {"topics": grouped(partitions)})

    def _standing(self, consumer: Mapping[str, Any]) -> dict[TopicPartition, int | None]:
        self._generation = consumer["generation"]
        positions = per_partition(consumer["positions"])
        return {partition: positions.get(partition) for partition in partitions_in(consumer["assignment"])}
