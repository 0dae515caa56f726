"""Writes generated records: counts them, keeps to a rate, and ends in good order on Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from pipeline.demo.generate.stream import Generated
from pipeline.progress import OnProgress, Progress

_STEPS: Final = 200
"""Number of progress reports in all, so that reporting costs nothing."""
_SHORTEST_SLEEP_S: Final = 0.002


@dataclass(slots=True)
class WriteCounts:
    """Counts of what was written so far."""

    records: int = 0
    events: int = 0
    rejected: int = 0
    """Number of events that will be rejected."""
    interrupted: bool = False

    def add(self, record: Generated) -> None:
        """Count one more record."""
        self.records += 1
        self.events += record.events
        self.rejected += len(record.invalid)

    def __str__(self) -> str:
        return (
            f"{self.records:,} records with {self.events:,} events "
            f"({self.events - self.rejected:,} valid, {self.rejected:,} to be rejected)"
        )


class Pace:
    """Keeps to a number of records a second; after a delay it catches up."""

    def __init__(
        self,
        rate: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate, self._clock, self._sleep = rate, clock, sleep
        self._began = clock()
        self._turns = 0

    def wait(self) -> None:
        """Return when the next record is due."""
        early = self._began + self._turns / self._rate - self._clock()
        if early > _SHORTEST_SLEEP_S:
            self._sleep(early)
        self._turns += 1


def write_records(
    records: Iterable[Generated],
    total: int,
    write: Callable[[Generated], None],
    on_progress: OnProgress,
) -> WriteCounts:
    """Write the records, `total` in number, one after another; Ctrl-C ends it in good order."""
    counts, every = WriteCounts(), max(1, total // _STEPS)
    try:
        for record in records:
            write(record)
            counts.add(record)
            if counts.records % every == 0:
                on_progress(Progress("generating", counts.records, total, "records"))
    except KeyboardInterrupt:
        counts.interrupted = True
    return counts
