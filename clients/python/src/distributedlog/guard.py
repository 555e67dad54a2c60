"""Who may use a client: one thread at a time, in the process that made it, and until it is closed.

What is still open when the interpreter ends is closed then.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import weakref
from typing import Protocol

from .errors import ClosedError, ConcurrentUseError, ForkedError

__all__ = ["Guard", "close_at_exit"]


class Guard:
    """A ``with`` statement around each use. A thread may enter it several times, as a listener's calls do."""

    def __init__(self, what: str) -> None:
        self.closed = False
        self._what = what
        self._lock = threading.RLock()
        self._process = os.getpid()

    @property
    def forked(self) -> bool:
        """Whether this process is not the one that made the client. Its connections are the other's."""
        return os.getpid() != self._process

    def check(self) -> None:
        """Raises what is wrong, other than another thread's use."""
        if self.forked:
            raise ForkedError(f"this {self._what} was made before a fork, in another process: make one in this process")
        if self.closed:
            raise ClosedError(f"this {self._what} is closed: make a new one")

    def __enter__(self) -> None:
        self.check()
        if not self._lock.acquire(blocking=False):
            raise ConcurrentUseError(
                f"another thread is using this {self._what}: it is for one thread at a time, only wakeup() is for any"
            )

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class _Leftover(Protocol):
    def _close_at_exit(self) -> None: ...


_open: weakref.WeakSet[_Leftover] = weakref.WeakSet()


def close_at_exit(client: _Leftover) -> None:
    """Has the client closed when the interpreter ends, if it was not by then."""
    _open.add(client)


@atexit.register
def _close_all() -> None:
    for client in list(_open):
        # The interpreter is ending: there is nobody to tell.
        with contextlib.suppress(Exception):
            client._close_at_exit()
