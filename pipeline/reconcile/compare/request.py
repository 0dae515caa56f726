"""What a comparison is asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.core.record import Role
from pipeline.core.time_window import ALL_TIME, Window
from pipeline.reconcile.event_filters import EVERY_EVENT, Filters


@dataclass(frozen=True)
class CompareRequest:
    """The raw records to process, and the topics to compare the results with."""

    topics: Mapping[Role, str] = field(default_factory=dict)
    """Topic of enriched events, and that of their dead letters if it is known; empty stands for
    the live topics."""
    window: Window = ALL_TIME
    """Kafka timestamps of the raw records to process."""
    offsets: Mapping[int, tuple[int, int]] | None = None
    """Raw partition → first offset to process and the one after the last; None stands for the
    offsets of the window."""
    filters: Filters = EVERY_EVENT
    """Events to process."""
    limit: int | None = None
    """Number of selected records after which the comparison ends."""
    show: int = 3
    """Number of samples of each kind and reason."""
    reveal: bool = False
    """Whether samples show personal data."""
    spill_dir: Path | None = None
    """Folder of the temporary files; None stands for the system's temporary folder."""
