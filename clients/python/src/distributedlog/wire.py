"""How keys, values and headers stand in the API's JSON, and how maps of partitions do."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from .records import Headers, TopicPartition

__all__ = ["by_topic", "grouped", "headers_in", "key_in", "partitions_in", "per_partition", "record_out", "value_in"]

T = TypeVar("T")


def key_in(record: Mapping[str, Any]) -> bytes | None:
    """A record's key, as bytes."""
    return _bytes(record.get("key"), record.get("key_encoding"))


def value_in(record: Mapping[str, Any]) -> bytes | None:
    """A record's value, as bytes."""
    return _bytes(record.get("value"), record.get("value_encoding"))


def headers_in(record: Mapping[str, Any]) -> Headers:
    """A record's headers, in their order."""
    listed = record.get("headers_list")
    if listed is not None:
        return [(header["key"], _bytes(header["value"], header.get("encoding")) or b"") for header in listed]
    headers = record.get("headers")
    return [(name, value.encode()) for name, value in headers.items()] if headers else []


def _bytes(text: str | None, encoding: str | None) -> bytes | None:
    if text is None:
        return None
    return base64.b64decode(text) if encoding == "base64" else text.encode()


def record_out(
    key: bytes | None, value: bytes | None, headers: Headers, partition: int, timestamp: int | None
) -> dict[str, Any]:
    """A record as a produce request has it. Text stays text; other bytes go in base64."""
    record: dict[str, Any] = {"partition": partition}
    if key is not None:
        _put(record, "key", "key_encoding", key)
    if value is not None:
        _put(record, "value", "value_encoding", value)
    if headers:
        record["headers_list"] = [_header(name, data) for name, data in headers]
    if timestamp is not None:
        record["timestamp"] = timestamp
    return record


def _header(name: str, data: bytes) -> dict[str, Any]:
    header: dict[str, Any] = {"key": name}
    _put(header, "value", "encoding", data)
    return header


def _put(into: dict[str, Any], name: str, encoding: str, data: bytes) -> None:
    try:
        into[name] = data.decode()
    except UnicodeDecodeError:
        into[name] = base64.b64encode(data).decode("ascii")
        into[encoding] = "base64"


def partitions_in(topics: Mapping[str, Iterable[int]] | None) -> list[TopicPartition]:
    """``{"orders": [0, 1]}`` as partitions."""
    return [TopicPartition(topic, number) for topic, numbers in (topics or {}).items() for number in numbers]


def grouped(partitions: Iterable[TopicPartition]) -> dict[str, list[int]]:
    """Partitions as ``{"orders": [0, 1]}``."""
    topics: dict[str, list[int]] = {}
    for topic, number in partitions:
        topics.setdefault(topic, []).append(number)
    return topics


def per_partition(topics: Mapping[str, Mapping[str, T]] | None) -> dict[TopicPartition, T]:
    """``{"orders": {"0": 10}}`` by partition."""
    return {
        TopicPartition(topic, int(number)): value
        for topic, numbers in (topics or {}).items()
        for number, value in numbers.items()
    }


def by_topic(values: Mapping[TopicPartition, T]) -> dict[str, dict[str, T]]:
    """Values by partition as ``{"orders": {"0": 10}}``."""
    topics: dict[str, dict[str, T]] = {}
    for (topic, number), value in values.items():
        topics.setdefault(topic, {})[str(number)] = value
    return topics
