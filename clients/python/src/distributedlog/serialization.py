"""Ready-made serializers and deserializers: for text, JSON and whole numbers.

A serializer is any function that makes bytes, a deserializer any that takes them; a key or value that is None passes
by both. As in ``Producer(value_serializer=to_json)`` and ``Consumer(value_deserializer=from_json)``.
"""

from __future__ import annotations

import json
from typing import Any

__all__ = ["from_int", "from_json", "from_text", "to_int", "to_json", "to_text"]


def to_text(value: str) -> bytes:
    """UTF-8."""
    return value.encode()


def from_text(data: bytes) -> str:
    """Text from UTF-8; raises UnicodeDecodeError for what is none."""
    return data.decode()


def to_json(value: Any) -> bytes:
    """Compact JSON in UTF-8. NaN and the infinities are refused, as JSON has none."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def from_json(data: bytes) -> Any:
    """What the JSON says."""
    return json.loads(data)


def to_int(value: int) -> bytes:
    """Eight bytes, signed, the most significant first, as Kafka's LongSerializer writes them."""
    return value.to_bytes(8, "big", signed=True)


def from_int(data: bytes) -> int:
    """The number in eight bytes, as :func:`to_int` writes it."""
    if len(data) != 8:
        raise ValueError(f"{len(data)} bytes instead of 8")
    return int.from_bytes(data, "big", signed=True)
