"""What a consumer can be told when it is made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Callable, Literal

from ..config import ClientConfig, ClientOptions
from ..errors import ConfigurationError

__all__ = ["ConsumerConfig", "ConsumerOptions"]

#: The ISO 8601 durations that the broker takes.
_BY_DURATION = re.compile(r"by_duration:P(?!$)(\d+W)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?")


class ConsumerOptions(ClientOptions, total=False):
    """The options of :class:`ConsumerConfig` as keywords, without the deserializers."""

    group_id: str | None
    group_instance_id: str | None
    auto_commit: bool
    auto_commit_interval_ms: int
    auto_offset_reset: str
    fetch_min_bytes: int
    fetch_max_bytes: int
    fetch_max_wait_ms: int
    max_poll_records: int
    max_poll_interval_ms: int
    session_timeout_ms: int
    heartbeat_interval_ms: int | None
    rebalance_timeout_ms: int | None
    assignor: Literal["uniform", "range"]
    allow_missing_topics: bool
    consumer_timeout_ms: int | None


@dataclass(frozen=True)
class ConsumerConfig(ClientConfig):
    """How a consumer works. Times are in milliseconds."""

    #: The group whose members share the partitions, and whose offsets are committed. Without one the consumer reads
    #: all partitions for itself and can't commit.
    group_id: str | None = None
    #: Which of the group's workers this is: a restart within ``session_timeout_ms`` then rebalances nobody.
    group_instance_id: str | None = None
    #: Whether what was processed is committed by itself: what ``poll()`` returned counts as processed when the next
    #: poll is called, or the consumer is closed without an exception.
    auto_commit: bool = True
    #: The least time between two automatic commits; 0 commits at each poll.
    auto_commit_interval_ms: int = 5_000
    #: Where to begin without a committed offset: ``earliest``, ``latest``, ``none`` (an error), or ``by_duration:``
    #: with an ISO 8601 duration, as in ``by_duration:PT1H``.
    auto_offset_reset: str = "latest"
    #: How much is worth an answer of the broker; it waits up to ``fetch_max_wait_ms`` for that much.
    fetch_min_bytes: int = 1
    #: The most that one poll brings, in bytes; a single record may be larger.
    fetch_max_bytes: int = 4 * 1024 * 1024
    #: How long to wait for ``fetch_min_bytes``. With 1 there is nothing to wait for, and it has no effect.
    fetch_max_wait_ms: int = 500
    #: The most messages that one poll returns.
    max_poll_records: int = 500
    #: How long processing may take between two polls before the member is taken for stuck.
    max_poll_interval_ms: int = 300_000
    #: How long the broker waits for a sign of life before it gives the partitions to others.
    session_timeout_ms: int = 30_000
    #: How often a sign of life is sent in the background; None is a third of ``session_timeout_ms``.
    heartbeat_interval_ms: int | None = None
    #: How long the member may keep a partition that it has to give up; None is ``max_poll_interval_ms``.
    rebalance_timeout_ms: int | None = None
    #: How the group's partitions are shared: ``uniform``, or ``range``.
    assignor: Literal["uniform", "range"] = "uniform"
    #: Whether topics may be subscribed to that do not exist yet.
    allow_missing_topics: bool = False
    #: How long ``for message in consumer`` waits for the next message before the loop ends; None is for ever.
    consumer_timeout_ms: int | None = None
    #: Make what the application sees of the bytes of a key or value.
    key_deserializer: Callable[[bytes], Any] | None = None
    value_deserializer: Callable[[bytes], Any] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("group_id", "group_instance_id"):
            self.text_or_none(name)
        for name in ("auto_commit", "allow_missing_topics"):
            self.flag(name)
        for name in ("key_deserializer", "value_deserializer"):
            self.function_or_none(name)
        self.bounded("auto_commit_interval_ms", 0, 86_400_000)
        self.bounded("fetch_max_bytes", 1, 67_108_864)
        self.bounded("fetch_min_bytes", 0, self.fetch_max_bytes)
        self.bounded("fetch_max_wait_ms", 0, 300_000)
        self.bounded("max_poll_records", 1, 10_000)
        self.bounded("max_poll_interval_ms", 1_000, 86_400_000)
        self.bounded("session_timeout_ms", 1_000, 1_800_000)
        if self.heartbeat_interval_ms is not None:
            self.bounded("heartbeat_interval_ms", 10, self.session_timeout_ms)
        if self.rebalance_timeout_ms is not None:
            self.bounded("rebalance_timeout_ms", 1_000, 1_800_000)
        if self.consumer_timeout_ms is not None:
            self.bounded("consumer_timeout_ms", 0, 86_400_000)
        reset = self.auto_offset_reset
        if reset not in ("earliest", "latest", "none") and not _BY_DURATION.fullmatch(str(reset)):
            raise ConfigurationError(
                f"auto_offset_reset is {reset!r}, and has to be 'earliest', 'latest', 'none', "
                "or 'by_duration:' with a duration, as in 'by_duration:PT1H'"
            )
        if self.assignor not in ("uniform", "range"):
            raise ConfigurationError(f"assignor is {self.assignor!r}, and has to be 'uniform' or 'range'")
        if self.group_instance_id is not None and self.group_id is None:
            raise ConfigurationError("group_instance_id needs group_id: it names a place in a group")

    @property
    def heartbeat_s(self) -> float:
        """How often a sign of life is due, in seconds."""
        interval_ms = self.heartbeat_interval_ms
        return (self.session_timeout_ms / 3 if interval_ms is None else interval_ms) / 1000

    def joining(self) -> dict[str, Any]:
        """What the broker is told of it at each subscribe, besides the group and the topics.

        The broker's own auto-commit is off: it would commit what was delivered, and here what was processed counts.
        """
        rebalance_ms = self.rebalance_timeout_ms or min(self.max_poll_interval_ms, 1_800_000)
        told: dict[str, Any] = {
            "auto_offset_reset": self.auto_offset_reset,
            "session_timeout_ms": self.session_timeout_ms,
            "max_poll_interval_ms": self.max_poll_interval_ms,
            "rebalance_timeout_ms": rebalance_ms,
            "auto_commit": False,
            "assignor": self.assignor,
        }
        if self.client_id is not None:
            told["client_id"] = self.client_id
        if self.group_instance_id is not None:
            told["instance_id"] = self.group_instance_id
        return told
