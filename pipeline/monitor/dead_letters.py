"""The part of a look that follows the dead letters which nobody has resolved."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from pipeline.dlq.backlog import Backlog, BacklogFollower, follow_backlog
from pipeline.metrics.catalogue import Metric
from pipeline.metrics.samples import Counts, Samples
from pipeline.monitor.collectors import Collected
from pipeline.settings.model import Settings

_SHARE_S: Final = 10.0
"""How long one look may read a long backlog; the next look goes on. Meanwhile the lag is not
refreshed."""


class DeadLetterCollector:
    """Unresolved dead letters by reason, the revenue that they block, and when they expire.

    It has no metrics until everything that existed has been read: the numbers would be too low.
    """

    def __init__(
        self,
        follower: BacklogFollower,
        share_s: float = _SHARE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._follower = follower
        self._share_s = share_s
        self._clock = clock

    @classmethod
    def from_settings(cls, settings: Settings) -> DeadLetterCollector:
        """Make one for the dead letters of a pipeline."""
        return cls(follow_backlog(settings))

    def collect(self) -> Collected:
        """See `Collector`."""
        deadline = self._clock() + self._share_s
        backlog = self._follower.look()
        while backlog.unread and self._clock() < deadline:
            backlog = self._follower.look()
        status = {"dead_letters": backlog.to_dict()}
        if backlog.unread:
            reading = f"still reading dead letters: {backlog.unread:,} offsets are left"
            return Collected({}, {}, status, (*backlog.notices, reading))
        fields = {
            "dead_letters": sum(backlog.unresolved.values()),
            "dead_letters_expiring": backlog.expiring,
            "dead_letter_retention_seconds": backlog.retention_s,
        }
        return Collected(_samples(backlog), fields, status, backlog.notices)

    def close(self) -> None:
        """See `Collector`."""


def _samples(backlog: Backlog) -> Samples:
    counts = Counts()
    for reason, number in backlog.unresolved.items():
        counts.put(Metric.WATCH_DEAD_LETTERS, number, reason)
    for currency, amount in backlog.revenue.items():
        counts.put(Metric.WATCH_DEAD_LETTER_REVENUE, float(amount), currency)
    for currency, amount in backlog.expiring_revenue.items():
        counts.put(Metric.WATCH_DEAD_LETTERS_EXPIRING_REVENUE, float(amount), currency)
    counts.put(Metric.WATCH_DEAD_LETTERS_EXPIRING, backlog.expiring)
    counts.put(Metric.WATCH_DEAD_LETTERS_LOST, backlog.deleted_unresolved)
    if backlog.retention_s is not None:
        counts.put(Metric.WATCH_DEAD_LETTER_RETENTION, backlog.retention_s)
    return counts.samples()
