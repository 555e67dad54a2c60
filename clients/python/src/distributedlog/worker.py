"""A thread that works for an event loop, one call after the other.

A call may wait for a coroutine of the loop, and meanwhile do calls for it: so a rebalance listener can commit.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, Callable, Optional, TypeVar

__all__ = ["Worker"]

T = TypeVar("T")

_Work = Optional["tuple[Callable[[], Any], Future[Any]]"]


class Worker:
    """One daemon thread with a queue."""

    def __init__(self, name: str) -> None:
        self._queue: queue.SimpleQueue[_Work] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Has it called in the thread, after all that was submitted before."""
        future: Future[T] = Future()
        self._queue.put((call, future))
        return future

    def stop(self) -> None:
        """Ends the thread after all that was submitted before."""
        self._queue.put(None)

    def wait_for(self, coroutine: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T:
        """For a call in the thread: runs a coroutine in the loop, and does the loop's calls until it has ended."""
        waited = asyncio.run_coroutine_threadsafe(coroutine, loop)
        waited.add_done_callback(lambda _: self._queue.put((lambda: None, Future())))
        while not waited.done():
            work = self._queue.get()
            if work is None:
                # The end is for the outer loop to see.
                self._queue.put(None)
                break
            _do(*work)
        return waited.result()

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            _do(*work)
            # Else it would live, with all that it knows, until there is more to do.
            del work


def _do(call: Callable[[], Any], future: Future[Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001 - it is for whoever waits, and not for this thread
        future.set_exception(error)
