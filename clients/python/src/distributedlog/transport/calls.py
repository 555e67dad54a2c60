"""Calls of the API: JSON to and fro, errors as exceptions, and what is tried again.

A call is repeated only where that applies nothing twice: the broker never heard it, or says itself that it may be
repeated, or the caller knows that it may.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Callable
from urllib.parse import quote

from ..errors import BrokerUnavailableError, InvalidAnswerError, OutcomeUnknownError, ServerError, from_answer
from .lane import ConnectionLostError, Lane

if TYPE_CHECKING:
    from ..config import ClientConfig

__all__ = ["Backoff", "Calls", "decoded", "encoded", "segment"]

logger = logging.getLogger("distributedlog")

#: How long a `Retry-After` is respected at most, in seconds.
LONGEST_RETRY_AFTER_S = 10.0


def segment(name: str) -> str:
    """A name as one segment of a path."""
    return quote(name, safe="")


def encoded(value: Mapping[str, Any]) -> bytes:
    """JSON, in bytes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def decoded(body: bytes) -> Any:
    """What a body says, or None if it is no JSON."""
    try:
        return json.loads(body)
    except ValueError:
        return None


class Backoff:
    """How long to wait between attempts: twice as long each time, half of it drawn at random."""

    def __init__(self, config: ClientConfig) -> None:
        self._first_s = config.retry_backoff_ms / 1000
        self._most_s = config.retry_backoff_max_ms / 1000
        self._attempts = 0

    def next_s(self, retry_after_s: float | None = None) -> float:
        """The wait before the next attempt, in seconds; at least what the broker asked for."""
        full = min(self._first_s * 2.0**self._attempts, self._most_s)
        self._attempts = min(self._attempts + 1, 30)
        drawn = full * random.uniform(0.5, 1.0)
        return max(drawn, min(retry_after_s or 0.0, LONGEST_RETRY_AFTER_S))


class Calls:
    """Calls over one lane, so for one thread at a time."""

    def __init__(self, config: ClientConfig, sleep: Callable[[float], object] = time.sleep) -> None:
        self.lane = Lane(config)
        #: How many attempts were repetitions.
        self.retries = 0
        self._config = config
        self._sleep = sleep
        self._request_timeout_s = config.request_timeout_ms / 1000

    def once(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | bytes | None = None,
        *,
        wait_s: float = 0.0,
        timeout_s: float | None = None,
        interruptible: bool = False,
    ) -> Any:
        """One attempt. ``wait_s`` is how long the broker was asked to wait before it answers.

        Raises :class:`ConnectionLostError`, `InterruptedPollError` and :class:`ServerError`.
        """
        data = body if body is None or isinstance(body, bytes) else encoded(body)
        limit_s = self._request_timeout_s if timeout_s is None else min(timeout_s, self._request_timeout_s)
        answer = self.lane.request(method, path, data, wait_s + limit_s, interruptible=interruptible)
        said = decoded(answer.body)
        if said is None and not answer.has_length:
            raise ConnectionLostError(f"{method} {path}: the answer broke off", sent=True)
        if 200 <= answer.status < 300:
            if said is None:
                raise InvalidAnswerError(f"{method} {path}: no JSON", status=answer.status)
            return said
        raise from_answer(answer.status, said, answer.retry_after_s, f"{method} {path}")

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        repeatable: bool = True,
        timeout_s: float | None = None,
    ) -> Any:
        """Tries until there is an answer, for ``timeout_s`` at most (``api_timeout_ms`` if None).

        ``repeatable`` says that applying the request twice is the same as once. Raises :class:`ServerError`,
        :class:`BrokerUnavailableError`, and :class:`OutcomeUnknownError` for what may not be repeated.
        """
        limit_s = self._config.api_timeout_ms / 1000 if timeout_s is None else timeout_s
        deadline = time.monotonic() + limit_s
        backoff = Backoff(self._config)
        while True:
            try:
                return self.once(method, path, body, timeout_s=max(deadline - time.monotonic(), 0.05))
            except ConnectionLostError as error:
                if error.sent and not repeatable:
                    raise OutcomeUnknownError(f"{method} {path} may have been applied: {error}") from error
                pause_s = backoff.next_s()
                if time.monotonic() + pause_s >= deadline:
                    raise unavailable(limit_s, error) from error
                logger.warning("no answer from the broker, trying on: %s", error)
            except ServerError as error:
                pause_s = backoff.next_s(error.retry_after_s)
                if not may_repeat(error, repeatable) or time.monotonic() + pause_s >= deadline:
                    raise
                logger.warning("the broker asks to come back later: %s", error)
            self.retries += 1
            self._sleep(pause_s)

    def close(self) -> None:
        self.lane.close()


def may_repeat(error: ServerError, repeatable: bool) -> bool:
    """Whether the same request may be sent again after this refusal."""
    if error.status in (502, 503, 504):
        return repeatable or (error.retryable and not error.may_be_applied)
    return error.retryable


def unavailable(limit_s: float, cause: Exception) -> BrokerUnavailableError:
    """No answer for all the time that a call may take."""
    return BrokerUnavailableError(
        f"no broker answered within {limit_s:.1f} s; the last attempt: {cause}. "
        "Is one running there, and is bootstrap_servers its HTTP address?"
    )
