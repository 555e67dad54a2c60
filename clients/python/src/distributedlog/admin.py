"""Administration: topics, and the offsets of groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .config import ClientConfig, ClientOptions, from_options
from .errors import ConfigurationError, TopicExistsError, UnknownGroupError, UnknownTopicError
from .guard import Guard
from .records import TopicPartition
from .topics import Topics
from .transport.calls import Calls, segment
from .wire import by_topic, grouped

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

__all__ = ["Admin", "GroupDescription", "GroupPartition", "MovedOffset", "TopicDescription"]


@dataclass(frozen=True)
class TopicDescription:
    """A topic: where each partition's log begins, the offset that its next record will get, and its settings."""

    name: str
    partitions: int
    beginning_offsets: tuple[int, ...]
    end_offsets: tuple[int, ...]
    #: ``retention_ms``, ``max_message_bytes``, ``cleanup`` … by their names in the API.
    settings: Mapping[str, Any]
    #: Only in a cluster: partitions that have no leader now, whose offsets above are what was heard last, or 0.
    leaderless: frozenset[int] = frozenset()


@dataclass(frozen=True)
class GroupPartition:
    """What a group has committed for a partition, and who reads it. Times are in milliseconds."""

    partition: TopicPartition
    committed: int | None
    metadata: str
    end: int
    lag: int | None
    lag_ms: int | None
    #: The consumer that it is assigned to.
    owner: str | None


@dataclass(frozen=True)
class GroupDescription:
    """A group. ``state`` is ``empty``, ``reconciling`` (a partition is being handed over) or ``stable``."""

    group_id: str
    state: str
    generation: int
    assignor: str
    partitions: tuple[GroupPartition, ...]
    #: Its consumers, as the API describes them.
    members: tuple[Mapping[str, Any], ...] = field(repr=False)


@dataclass(frozen=True)
class MovedOffset:
    """What a change did to a committed offset; None where there is none."""

    partition: TopicPartition
    before: int | None
    after: int | None


class Admin:
    """Makes, changes and removes topics and the offsets of groups. For one thread at a time.

    Options are those of :class:`ClientConfig`, as keywords or as ``config``.
    """

    def __init__(self, *, config: ClientConfig | None = None, **options: Unpack[ClientOptions]) -> None:
        self.config = from_options(ClientConfig, options, config)
        self._guard = Guard("admin client")
        self._calls = Calls(self.config)
        self._topics = Topics(self._calls)

    def create_topic(self, name: str, partitions: int = 1, **settings: int | str) -> TopicDescription:
        """Makes a topic. Settings go by their names in the API, as in ``retention_ms=3_600_000``.

        Raises :class:`TopicExistsError`.
        """
        with self._guard:
            retries = self._calls.retries
            try:
                made = self._calls.call("POST", "/api/topics", {"name": name, "partitions": partitions, **settings})
            except TopicExistsError:
                if self._calls.retries == retries:
                    raise
                # An earlier attempt, whose answer was lost, may have made it.
                made = self._topics.get(name)
                wanted = {"partitions": partitions, **settings}
                if any(made.get(setting) != value for setting, value in wanted.items()):
                    raise
            return _topic(made)

    def alter_topic(self, name: str, partitions: int | None = None, **settings: int | str) -> TopicDescription:
        """Changes settings, or adds partitions until there are so many. What is not given stays."""
        with self._guard:
            wanted: dict[str, Any] = dict(settings)
            if partitions is not None:
                wanted["partitions"] = partitions
            return _topic(self._calls.call("PATCH", f"/api/topics/{segment(name)}", wanted))

    def delete_topic(self, name: str) -> None:
        """Removes a topic with its records and all that was committed for it."""
        with self._guard:
            retries = self._calls.retries
            try:
                self._calls.call("DELETE", f"/api/topics/{segment(name)}")
            except UnknownTopicError:
                # An earlier attempt, whose answer was lost, may have removed it.
                if self._calls.retries == retries:
                    raise

    def topics(self) -> dict[str, TopicDescription]:
        """All topics by their names."""
        with self._guard:
            return {topic["name"]: _topic(topic) for topic in self._calls.call("GET", "/api/topics")["topics"]}

    def topic(self, name: str) -> TopicDescription:
        """One topic. Raises :class:`UnknownTopicError`."""
        with self._guard:
            return _topic(self._topics.get(name))

    def groups(self) -> dict[str, str]:
        """The state of each group by its id."""
        with self._guard:
            answer = self._calls.call("GET", "/api/consumer-groups")
            return {group["group_id"]: group["state"] for group in answer["groups"]}

    def group(self, group_id: str) -> GroupDescription:
        """One group: its members, and its offsets and lag in each partition. Raises :class:`UnknownGroupError`."""
        with self._guard:
            told = self._calls.call("GET", _path(group_id))
            return GroupDescription(
                group_id,
                told["state"],
                told["generation"],
                told["assignor"],
                tuple(_held(partition) for partition in told["partitions"]),
                tuple(told["members"]),
            )

    def set_offsets(
        self,
        group_id: str,
        offsets: Mapping[TopicPartition, int] | None = None,
        *,
        to: str | None = None,
        timestamp_ms: int | None = None,
        by: int | None = None,
        topics: Iterable[str] | None = None,
        partitions: Iterable[TopicPartition] | None = None,
        dry_run: bool = False,
    ) -> list[MovedOffset]:
        """Moves the offsets of a group that nobody is in, all or none; makes the group if there is none.

        Where to is one of: ``offsets``; ``to`` (``earliest``, ``latest``); ``timestamp_ms`` (the first record that is
        not older); ``by`` (so many records, from what is committed). Which are ``topics`` or ``partitions``, else all
        that have an offset. Raises :class:`GroupActiveError`.
        """
        where: dict[str, Any] = {"to": to, "timestamp_ms": timestamp_ms, "by": by}
        where["offsets"] = None if offsets is None else by_topic(offsets)
        wanted = {name: value for name, value in where.items() if value is not None}
        if len(wanted) != 1:
            raise ConfigurationError("set_offsets needs exactly one of offsets, to, timestamp_ms and by")
        wanted.update(_which(topics, partitions), dry_run=dry_run)
        with self._guard:
            # Moving by so many records twice would be too far.
            repeatable = by is None or dry_run
            answer = self._calls.call("PUT", f"{_path(group_id)}/offsets", wanted, repeatable=repeatable)
            return _moved(answer)

    def delete_offsets(
        self,
        group_id: str,
        *,
        topics: Iterable[str] | None = None,
        partitions: Iterable[TopicPartition] | None = None,
    ) -> list[MovedOffset]:
        """Forgets offsets of a group that nobody is in: of topics, of partitions, or all."""
        with self._guard:
            return _moved(self._calls.call("DELETE", f"{_path(group_id)}/offsets", _which(topics, partitions)))

    def delete_group(self, group_id: str) -> None:
        """Forgets a group that nobody is in. Raises :class:`UnknownGroupError`, :class:`GroupActiveError`."""
        with self._guard:
            retries = self._calls.retries
            try:
                self._calls.call("DELETE", _path(group_id))
            except UnknownGroupError:
                if self._calls.retries == retries:
                    raise

    def health(self) -> Mapping[str, Any]:
        """How the broker is: ``status`` is ``ok`` or ``degraded``."""
        with self._guard:
            told: Mapping[str, Any] = self._calls.call("GET", "/api/health")
            return told

    def close(self) -> None:
        """Closes the connection. Closing again does nothing."""
        if not self._guard.closed and not self._guard.forked:
            self._guard.closed = True
            self._calls.close()

    def __enter__(self) -> Self:
        self._guard.check()
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        self.close()


def _path(group_id: str) -> str:
    return f"/api/consumer-groups/{segment(group_id)}"


def _which(topics: Iterable[str] | None, partitions: Iterable[TopicPartition] | None) -> dict[str, Any]:
    if topics is not None and partitions is not None:
        raise ConfigurationError("give topics or partitions, not both")
    if topics is not None:
        return {"topics": [topics] if isinstance(topics, str) else list(topics)}
    return {} if partitions is None else {"partitions": grouped(partitions)}


def _topic(told: Mapping[str, Any]) -> TopicDescription:
    offsets = sorted(told["offsets"], key=lambda log: int(log["partition"]))
    return TopicDescription(
        told["name"],
        told["partitions"],
        tuple(log["start"] for log in offsets),
        tuple(log["end"] for log in offsets),
        {name: value for name, value in told.items() if name not in ("name", "partitions", "offsets")},
        frozenset(log["partition"] for log in offsets if log.get("leaderless")),
    )


def _held(told: Mapping[str, Any]) -> GroupPartition:
    return GroupPartition(
        TopicPartition(told["topic"], told["partition"]),
        told["committed"],
        told.get("metadata", ""),
        told["end"],
        told["lag"],
        told["lag_ms"],
        told.get("owner"),
    )


def _moved(answer: Mapping[str, Any]) -> list[MovedOffset]:
    return [
        MovedOffset(TopicPartition(moved["topic"], moved["partition"]), moved["before"], moved["after"])
        for moved in answer["offsets"]
    ]
