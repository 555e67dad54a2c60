"""One connection to a broker, used by one thread at a time. Another thread may end what waits on it.

A lane sends a request once. It never tries again and never follows a redirect: what may be repeated is decided by
who knows what the request means.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from typing import TYPE_CHECKING, Callable, NamedTuple

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NameResolutionError, NewConnectionError, ProxyError
from urllib3.exceptions import TimeoutError as SlowError

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from ..config import ClientConfig

__all__ = ["Answer", "ConnectionLostError", "InterruptedPollError", "Lane"]


class Answer(NamedTuple):
    """What came back, whole."""

    status: int
    body: bytes
    #: Whether it says how long it is. If not, it may have been cut off in its headers, and nobody would notice.
    has_length: bool
    retry_after_s: float | None


class ConnectionLostError(Exception):
    """There was no whole answer. ``sent`` says whether the broker may have heard the request."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class InterruptedPollError(Exception):
    """Another thread ended the request."""


class Lane:
    """A connection that is opened when first needed and kept open from then on."""

    def __init__(self, config: ClientConfig) -> None:
        self._addresses = config.addresses()
        self._preferred = 0
        self._connect_timeout_s = config.connect_timeout_ms / 1000
        self._headers = {"Content-Type": "application/json", "User-Agent": "takhin-python"}
        if config.api_key is not None:
            self._headers["Authorization"] = f"Bearer {config.api_key}"
        self._connections: dict[tuple[str, int | None], HTTPConnection] = {}
        self._waiting = False
        self._interrupted = False
        self._pools = _pools(config, self._note)

    def request(
        self, method: str, path: str, body: bytes | None, timeout_s: float, *, interruptible: bool = False
    ) -> Answer:
        """Sends a request and waits for its answer.

        Raises :class:`ConnectionLostError`, and if it is ``interruptible`` :class:`InterruptedPollError`; then the
        connection is gone, and the next request opens another one.
        """
        address = self._addresses[self._preferred]
        self._waiting = interruptible
        try:
            # An interruption from before counts; one from now on finds the flag above, and ends the connection.
            self._check_interruption()
            response = self._pools.request(
                method,
                f"{address}{path}",
                body=body,
                headers=self._headers,
                retries=False,
                timeout=urllib3.Timeout(connect=self._connect_timeout_s, read=timeout_s),
            )
            headers = response.headers
            chunked = headers.get("Transfer-Encoding", "").lower() == "chunked"
            has_length = chunked or headers.get("Content-Length", "").isdecimal()
            return Answer(response.status, response.data, has_length, _seconds(headers.get("Retry-After")))
        except (HTTPError, OSError) as error:
            self._check_interruption()
            self._preferred = (self._preferred + 1) % len(self._addresses)
            raise ConnectionLostError(f"{address}: {_reason(error)}", sent=_may_be_sent(error)) from error
        finally:
            self._waiting = False

    def pause(self, seconds: float) -> None:
        """Sleeps; raises :class:`InterruptedPollError` soon after an interruption."""
        deadline = time.monotonic() + seconds
        self._waiting = True
        try:
            while (left := deadline - time.monotonic()) > 0:
                self._check_interruption()
                time.sleep(min(left, 0.02))
        finally:
            self._waiting = False

    def interrupt(self) -> None:
        """Ends the interruptible request that waits, or the next one. For any thread, and for a signal's handler."""
        self._interrupted = True
        if self._waiting:
            for connection in tuple(self._connections.values()):
                _cut(connection)

    def forget_interruption(self) -> None:
        """An interruption that has not ended anything yet shall not do so any more."""
        self._interrupted = False

    def close(self) -> None:
        """Closes the connection. A later request opens another one."""
        self._pools.clear()
        self._connections.clear()

    def _check_interruption(self) -> None:
        if self._waiting and self._interrupted:
            self._interrupted = False
            raise InterruptedPollError

    def _note(self, connection: HTTPConnection) -> None:
        self._connections[connection.host, connection.port] = connection
        self._check_interruption()


def _pools(config: ClientConfig, note: Callable[[HTTPConnection], None]) -> urllib3.PoolManager:
    """One connection at a time for each address; ``note`` hears of each connection that is opened."""

    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            note(self)

    class Secure(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            note(self)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    context = _trust(config)
    if config.proxy_url is None:
        pools = urllib3.PoolManager(maxsize=1, ssl_context=context)
    else:
        pools = urllib3.ProxyManager(config.proxy_url, maxsize=1, ssl_context=context)
    pools.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
    return pools


def _trust(config: ClientConfig) -> ssl.SSLContext | None:
    if not any(address.scheme == "https" for address in config.addresses()):
        return None
    try:
        context = ssl.create_default_context(cafile=config.ssl_cafile)
        if config.ssl_certfile is not None:
            context.load_cert_chain(config.ssl_certfile, config.ssl_keyfile)
    except OSError as error:
        raise ConfigurationError(f"ssl_cafile, ssl_certfile or ssl_keyfile can't be used: {error}") from error
    return context


def _cut(connection: HTTPConnection) -> None:
    """Ends both directions, so that a thread that reads from the connection stops waiting."""
    if connection.sock is not None:
        # It may have ended by itself meanwhile.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)


def _may_be_sent(error: Exception) -> bool:
    return not isinstance(error, (NewConnectionError, ConnectTimeoutError, NameResolutionError, ProxyError))


def _reason(error: Exception) -> str:
    """What went wrong, without the names of classes that urllib3 puts before it."""
    if isinstance(error, (NewConnectionError, ProxyError)) and error.__cause__ is not None:
        return str(error.__cause__)
    return str(error).rpartition("): ")[2] if isinstance(error, SlowError) else str(error)


def _seconds(retry_after: str | None) -> float | None:
    return float(retry_after) if retry_after is not None and retry_after.isdecimal() else None
