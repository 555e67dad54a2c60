"""What a consumer counts of itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Counters"]


class Counters:
    """Totals since the consumer was made, and how long requests of each kind took."""

    def __init__(self) -> None:
        self._totals = dict.fromkeys(("polls", "messages", "records", "rebalances", "rejoins", "retries"), 0)
        self._times: dict[str, tuple[int, float, float]] = {"fetch": (0, 0.0, 0.0), "commit": (0, 0.0, 0.0)}

    def add(self, name: str, count: int = 1) -> None:
        self._totals[name] += count

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Counts what happens within, and how long it takes; what fails is not counted."""
        start = time.monotonic()
        yield
        took = time.monotonic() - start
        count, total, longest = self._times[name]
        self._times[name] = (count + 1, total + took, max(longest, took))

    def figures(self) -> dict[str, float]:
        """``polls_total``, ``fetch_avg_ms`` and so on."""
        figures: dict[str, float] = {f"{name}_total": count for name, count in self._totals.items()}
        for name, (count, total, longest) in self._times.items():
            figures[f"{name}_requests_total"] = count
            figures[f"{name}_avg_ms"] = 1000 * total / count if count else 0.0
            figures[f"{name}_max_ms"] = 1000 * longest
        return figures
