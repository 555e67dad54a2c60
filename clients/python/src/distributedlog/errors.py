"""Every error that this library raises of its own, and how the broker's error codes become them.

Each one is a :class:`TakhinError`. ``retryable`` says that the very same call may work later and that repeating it
applies nothing twice. What the broker said is kept: ``code``, ``status``, ``details`` and ``request_id``, by which the
broker's log names the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from .records import TopicPartition

__all__ = [
    "AuthenticationError",
    "AuthorizationError",
    "BrokerUnavailableError",
    "BufferFullError",
    "ClosedError",
    "CommitFailedError",
    "ConcurrentUseError",
    "ConfigurationError",
    "ConsumerExpiredError",
    "ConsumerFencedError",
    "DataCorruptError",
    "DeliveryTimeoutError",
    "DeserializationError",
    "ForkedError",
    "GroupActiveError",
    "IllegalStateError",
    "InternalServerError",
    "InvalidAnswerError",
    "InvalidRequestError",
    "NoCommittedOffsetError",
    "NotSubscribedError",
    "OffsetMismatchError",
    "OffsetOutOfRangeError",
    "OffsetTrimmedError",
    "OutcomeUnknownError",
    "OverloadedError",
    "PartitionNotAssignedError",
    "ProducerFencedError",
    "RecordTooLargeError",
    "SequenceGapError",
    "SerializationError",
    "ServerError",
    "StorageUnavailableError",
    "TakhinError",
    "TopicExistsError",
    "UnknownGroupError",
    "UnknownOptionError",
    "UnknownPartitionError",
    "UnknownTopicError",
    "WakeupError",
    "from_answer",
]


class TakhinError(Exception):
    """What all errors of this library have in common."""

    retryable: bool = False


class ConfigurationError(TakhinError, ValueError):
    """An option has a value that can't be."""


class UnknownOptionError(ConfigurationError, TypeError):
    """There is no option of this name."""


class IllegalStateError(TakhinError, RuntimeError):
    """The call makes no sense now."""


class ClosedError(IllegalStateError):
    """The client was closed before."""


class NotSubscribedError(IllegalStateError):
    """The consumer has neither a subscription nor an assignment yet."""


class ConcurrentUseError(IllegalStateError):
    """Two threads use one consumer at the same time. Only ``wakeup()`` may be called from another thread."""


class ForkedError(IllegalStateError):
    """The client was made in another process, from which this one was forked."""


class WakeupError(TakhinError):
    """``wakeup()`` ended a poll. Nothing is lost: the next poll goes on where this one was."""

    retryable = True


class BrokerUnavailableError(TakhinError, ConnectionError):
    """No broker could be reached, or none answered, for as long as the call may take."""

    retryable = True


class OutcomeUnknownError(TakhinError):
    """The connection broke after the request was sent: whether it was applied is not known."""


class DeliveryTimeoutError(OutcomeUnknownError):
    """A record was not acknowledged within ``delivery_timeout_ms``. It may have been written all the same."""


class BufferFullError(TakhinError):
    """The producer's buffer stayed full for ``max_block_ms``; the record was not taken."""

    retryable = True


class CommitFailedError(TakhinError):
    """The offsets can't be committed any more: the consumer's partitions went to others.

    What was handed out since the last commit will be delivered again. The next poll joins the group anew.
    """


class SerializationError(TakhinError, ValueError):
    """A serializer failed, or gave something else than bytes. The record was not taken."""


class DeserializationError(TakhinError, ValueError):
    """A deserializer failed. The consumer stands at that record: seek to the next offset to pass over it."""

    def __init__(self, partition: TopicPartition, offset: int, part: str, cause: Exception) -> None:
        super().__init__(
            f"the {part} of {partition.topic}/{partition.partition} at offset {offset} could not be deserialized: "
            f"{type(cause).__name__}: {cause}. To pass over it: consumer.seek(error.partition, error.offset + 1)"
        )
        self.partition = partition
        self.offset = offset
        self.part = part


class ServerError(TakhinError):
    """The broker refused a request. It has changed nothing, unless the error says which part it did."""

    #: What to do about it, added to what the broker says.
    advice: ClassVar[str] = ""

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        status: int = 0,
        retryable: bool = False,
        details: Mapping[str, Any] | None = None,
        request_id: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status
        self.retryable = retryable
        self.details: Mapping[str, Any] = details if details is not None else {}
        self.request_id = request_id
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        text = self.message
        if self.request_id:
            text += f" [{self.code}, HTTP {self.status}, request {self.request_id}]"
        return f"{text}. {self.advice}" if self.advice else text

    @property
    def may_be_applied(self) -> bool:
        """Whether the request may have had an effect although it was refused."""
        return self.details.get("applied") == "unknown" or self.code in ("internal", "partly_produced", "")


class InvalidRequestError(ServerError):
    """The broker can't make sense of a request, or of a value in it."""


class InvalidAnswerError(ServerError):
    """What answered does not speak Takhin's API; a proxy in between, perhaps."""

    advice = "Is there a Takhin broker at that address, and no proxy that answers in its place?"


class UnknownTopicError(ServerError):
    """The topic does not exist."""

    advice = "Create it with Admin(...).create_topic(name), or subscribe with allow_missing_topics=True to wait for it"


class UnknownPartitionError(ServerError):
    """The topic does not have this partition."""


class UnknownGroupError(ServerError):
    """The broker knows no such group: nobody is in it, and nothing is committed."""


class TopicExistsError(ServerError):
    """There is a topic of this name already."""


class GroupActiveError(ServerError):
    """The group's offsets can't be set from outside while a consumer is in it."""

    advice = "Close the group's consumers first, or seek and commit in one of them"


class ConsumerExpiredError(ServerError):
    """The consumer's session ended, or the broker does not know it."""


class ConsumerFencedError(ServerError):
    """Another consumer with the same ``group_instance_id`` took this one's place."""

    advice = "Each running worker needs a group_instance_id of its own"


class NoCommittedOffsetError(ServerError):
    """There is no committed offset, and ``auto_offset_reset`` is ``none``."""

    advice = "Say where to begin with seek(), seek_to_beginning() or seek_to_end(), or choose another auto_offset_reset"


class OffsetOutOfRangeError(ServerError):
    """The offset lies outside of the log."""

    advice = "beginning_offsets() and end_offsets() tell the bounds"


class OffsetTrimmedError(ServerError):
    """The offset was removed by the topic's retention."""


class OffsetMismatchError(ServerError):
    """The log does not end where the request expected."""


class PartitionNotAssignedError(ServerError):
    """The partition is not this consumer's."""

    advice = "assignment() tells what is. In a group a partition may have gone to another member"


class DataCorruptError(ServerError):
    """The broker's disk does not give back what was written there."""

    advice = "Records up to details['next'] can't be read; seek there to go on behind them"


class RecordTooLargeError(ServerError):
    """A record is larger than its topic's ``max_message_bytes``, or than any request may be."""

    advice = "Raise the topic's max_message_bytes with Admin(...).alter_topic(name, max_message_bytes=...)"


class SequenceGapError(ServerError):
    """The broker no longer remembers this producer, and can't tell whether a batch was written before."""

    advice = "Whether the batch was written is not known: read the end of the partition before you send it again"


class ProducerFencedError(ServerError):
    """A newer epoch of this producer writes to the partition."""


class StorageUnavailableError(ServerError):
    """The broker can't write now: its disk is full or has failed."""


class OverloadedError(ServerError):
    """The broker has no room for the request at the moment, or is stopping."""


class AuthenticationError(ServerError):
    """The broker wants an API key, or does not know the one given."""

    advice = "Give a valid one as api_key=..."


class AuthorizationError(ServerError):
    """The API key does not allow this."""


class InternalServerError(ServerError):
    """A bug in the broker. Its log has more under the request's id."""


_BY_CODE: Mapping[str, type[ServerError]] = {
    "topic_not_found": UnknownTopicError,
    "partition_not_found": UnknownPartitionError,
    "group_not_found": UnknownGroupError,
    "topic_exists": TopicExistsError,
    "group_active": GroupActiveError,
    "consumer_not_found": ConsumerExpiredError,
    "consumer_expired": ConsumerExpiredError,
    "consumer_ended": ConsumerExpiredError,
    "consumer_fenced": ConsumerFencedError,
    "no_committed_offset": NoCommittedOffsetError,
    "offset_out_of_range": OffsetOutOfRangeError,
    "offset_trimmed": OffsetTrimmedError,
    "offset_mismatch": OffsetMismatchError,
    "partition_not_assigned": PartitionNotAssignedError,
    "data_corrupt": DataCorruptError,
    "record_too_large": RecordTooLargeError,
    "batch_too_large": RecordTooLargeError,
    "body_too_large": RecordTooLargeError,
    "sequence_gap": SequenceGapError,
    "producer_fenced": ProducerFencedError,
    "storage_unavailable": StorageUnavailableError,
    "partly_produced": StorageUnavailableError,
    "overloaded": OverloadedError,
    "too_many": OverloadedError,
    "too_many_connections": OverloadedError,
    "group_moving": OverloadedError,
    "shutting_down": OverloadedError,
    "not_ready": OverloadedError,
    "internal": InternalServerError,
}

_BY_STATUS: Mapping[int, type[ServerError]] = {401: AuthenticationError, 403: AuthorizationError}


def from_answer(status: int, body: object, retry_after_s: float | None, request: str) -> ServerError:
    """The error that an answer of this status stands for. ``body`` is its JSON, or None if it is none.

    An answer that is not in the broker's own form comes from something in between. It counts as retryable if its
    status says that a gateway did not reach the broker; whether the request was applied is then not known.
    """
    if not isinstance(body, dict) or not isinstance(body.get("code"), str):
        shown = f"{request}: HTTP {status}, which is not an answer of Takhin's API"
        foreign = _BY_STATUS.get(status, InvalidAnswerError)
        return foreign(shown, status=status, retryable=status in (502, 503, 504), retry_after_s=retry_after_s)
    code = body["code"]
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status)
    if kind is None:
        kind = InvalidRequestError if 400 <= status < 500 else ServerError
    details = body.get("details")
    return kind(
        str(body.get("error", "")),
        code=code,
        status=status,
        retryable=body.get("retryable") is True,
        details=details if isinstance(details, dict) else {},
        request_id=str(body.get("request_id", "")),
        retry_after_s=retry_after_s,
    )
