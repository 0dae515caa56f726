"""What an event costs, as measured: the only place of the figures that `make capacity` starts from.

Measure anew with `make bench ARGS=kafka` (CPU time) after a change that makes events cheaper, and
let `docs/capacity.md` follow; a test compares its tables with these figures.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Figures(NamedTuple):
    """Costs of one event, and limits of one worker process."""

    measured: str
    """When and on what the CPU time was measured."""
    cpu_us: float
    """CPU time of a worker per event, of all its threads, in microseconds."""
    raw_bytes: int
    """Size of a raw record: key and value."""
    output_bytes: int
    """Size of its enriched event: key, value and headers."""
    raw_packed: float
    """Size after lz4 compression, as a share of the size before."""
    output_packed: float
    memory_mb: int
    """Memory of a worker process with default settings, whatever happens."""

    @property
    def per_worker(self) -> float:
        """Events per second of a worker that has one processor to itself."""
        return 1e6 / self.cpu_us


FIGURES: Final = Figures(
    measured="in November 2026 on two shared cores, CPython 3.11, records of the sample generator",
    cpu_us=38.0,
    raw_bytes=870,
    output_bytes=1080,
    raw_packed=0.30,
    output_packed=0.34,
    memory_mb=512,
)
BUSY: Final = 0.6
"""Share of its time that a worker should be busy at the daily peak. The rest is what catches up:
after an hour of standing still, a group that is 60 % busy needs an hour and a half."""
PARTITIONS_PER_WORKER: Final = 3
"""Partitions are the ceiling of workers, and can't be added without moving keys."""
REPLICAS: Final = 3
