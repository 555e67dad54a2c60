"""Who wants to know when partitions come and go."""

from __future__ import annotations

from ..records import TopicPartition

__all__ = ["RebalanceListener"]


class RebalanceListener:
    """Override what you need. All of it is called from within ``poll()``, in its thread.

    It may commit, seek, pause and ask. What it raises passes out of that poll; the rebalance itself has happened, and
    the next poll goes on.
    """

    def on_partitions_assigned(self, partitions: list[TopicPartition]) -> None:
        """These partitions are new; nothing of them was handed out yet. The time to seek."""

    def on_partitions_revoked(self, partitions: list[TopicPartition]) -> None:
        """These partitions go to another member when the next poll begins. The last time to commit for them.

        What poll() returned before is processed by now; with ``auto_commit`` it is committed already.
        """

    def on_partitions_lost(self, partitions: list[TopicPartition]) -> None:
        """These partitions are gone without notice, as the session ended: it is too late to commit for them.

        Unless overridden, it does what :meth:`on_partitions_revoked` does.
        """
        self.on_partitions_revoked(partitions)
