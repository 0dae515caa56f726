"""What an audit is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.core.time_window import ALL_TIME, Window
from pipeline.reconcile.spill import CACHE_KIB


@dataclass(frozen=True, slots=True)
class AuditRequest:
    """The raw records to audit, and how. Only the window changes what is counted."""

    window: Window = ALL_TIME
    """Kafka timestamps of the raw records to audit."""
    revenue: bool = False
    """Whether to add up the revenue as well."""
    show: int = 5
    """Number of discrepancies of each kind to name."""
    spill_dir: Path | None = None
    """Folder of the temporary file; None stands for the system's temporary folder."""
    cache_kib: int = CACHE_KIB
    """Size of the part of the temporary file that is kept in memory."""
