"""What happens in the background while the application works: signs of life, and commits that nobody waits for.

A keeper has a thread and a connection of its own. It knows the membership and nothing of the consumer, so a consumer
that was forgotten is not kept alive by it. Commits are made in the order in which they were asked for; there is at
most one that waits, and a newer one is made together with it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future

from ..errors import ConsumerExpiredError, ConsumerFencedError, TakhinError
from ..records import OffsetAndMetadata, TopicPartition
from ..transport.calls import Calls
from .config import ConsumerConfig
from .membership import Membership

__all__ = ["Keeper", "Offsets"]

logger = logging.getLogger("distributedlog")

Offsets = Mapping[TopicPartition, OffsetAndMetadata]


class Keeper:
    """The background thread of one consumer."""

    def __init__(self, config: ConsumerConfig, membership: Membership) -> None:
        self.heartbeats = 0
        self._membership = membership
        self._interval_s = config.heartbeat_s
        self._calls = Calls(config, sleep=self._pause)
        self._changed = threading.Condition()
        self._stopped = False
        self._heard_at = time.monotonic()
        self._offsets: dict[TopicPartition, OffsetAndMetadata] = {}
        self._waiting: list[Future[None]] = []
        self._busy = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins, unless it has."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="takhin-keeper", daemon=True)
            self._thread.start()

    def heard(self) -> None:
        """The consumer has just talked to the broker, which is as good as a sign of life."""
        self._heard_at = time.monotonic()

    def commit(self, offsets: Offsets) -> Future[None]:
        """Commits soon. The future ends when it is durable, or with the error."""
        future: Future[None] = Future()
        with self._changed:
            self._offsets.update(offsets)
            self._waiting.append(future)
            self._changed.notify_all()
        return future

    @property
    def is_committing(self) -> bool:
        """Whether a commit is under way or waits."""
        with self._changed:
            return self._busy or bool(self._waiting)

    def settle(self, timeout_s: float) -> None:
        """Waits until no commit is under way any more, so long at most."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and not self._busy, timeout_s)

    def stop(self) -> None:
        """Ends the thread soon. What is not committed by then is refused."""
        with self._changed:
            self._stopped = True
            refused, self._waiting = self._waiting, []
            self._changed.notify_all()
        for future in refused:
            future.set_exception(TakhinError("the consumer was closed before this commit was made"))

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._stopped and not self._waiting and (wait_s := self._due_s()) > 0:
                    self._changed.wait(wait_s)
                if self._stopped:
                    break
                offsets, self._offsets = self._offsets, {}
                futures, self._waiting = self._waiting, []
                self._busy = bool(futures)
            if futures:
                self._commit(offsets, futures)
            else:
                self._beat()
        self._calls.close()

    def _due_s(self) -> float:
        if self._membership.is_over:
            return self._interval_s
        return self._heard_at + self._interval_s - time.monotonic()

    def _beat(self) -> None:
        self.heard()
        try:
            self._calls.call("POST", f"{self._membership.path}/heartbeat", timeout_s=self._interval_s)
            self.heartbeats += 1
        except ConsumerExpiredError as error:
            logger.warning("the consumer's session ended: %s", error)
            self._membership.expired = True
        except ConsumerFencedError:
            # The next poll says so to the application.
            self._membership.fenced = True
        except TakhinError as error:
            logger.warning("no sign of life could be sent: %s", error)

    def _commit(self, offsets: Offsets, futures: list[Future[None]]) -> None:
        points = {partition: point.offset for partition, point in offsets.items()}
        metadata = {partition: point.metadata for partition, point in offsets.items() if point.metadata}
        failed: TakhinError | None = None
        try:
            self._membership.commit(points, metadata, calls=self._calls)
            self.heard()
        except TakhinError as error:
            failed = error
        with self._changed:
            self._busy = False
            self._changed.notify_all()
        for future in futures:
            if failed is None:
                future.set_result(None)
            else:
                future.set_exception(failed)

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopped, seconds)
