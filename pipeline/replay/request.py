"""What a replay is asked to do, with nothing of a command line in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.errors import SettingsError
from pipeline.files.outputs import FileOutput
from pipeline.reconcile.compare.classify import DifferenceKind
from pipeline.reconcile.event_filters import EVERY_EVENT, Filters
from pipeline.replay.window_offsets import EARLIEST, LATEST, Bound
from pipeline.settings.model import Settings
from pipeline.topic_roles import require_no_role

DEFAULT_MAX_INVALID_RATIO: Final = 0.5
_HOUR_MS: Final = 3_600_000
_BEGINNING: Final = Bound(EARLIEST)
_END: Final = Bound(LATEST)


@dataclass(frozen=True)
class ReplayRequest:
    """Everything that decides what a replay, or a dry run of one, reads and writes.

    Raises SettingsError when its options contradict each other, or when `output` names a topic
    that already has a role in the pipeline.
    """

    settings: Settings
    start: Bound = _BEGINNING
    """First record of the window."""
    end: Bound = _END
    """End of the window, itself not included. It is fixed when the replay is planned."""
    slack_ms: int = _HOUR_MS
    """How far behind `end` late records of the window are looked for, in milliseconds."""
    filters: Filters = EVERY_EVENT
    rate: float | None = None
    """Maximum number of events per second, all workers together; None is as fast as possible."""
    max_records: int | None = None
    """Number of matching records to stop after, divided among the workers; None is no limit."""
    workers: int | None = None
    """Number of processes that share the partitions; None is one, or what the plan says."""
    output: str | None = None
    """Topic of enriched events; None is a topic of the replay's own."""
    into_live: bool = False
    """Whether enriched events go to the live topic."""
    identify_live: bool = False
    """Whether identify messages go to the live topic."""
    max_invalid_ratio: float | None = None
    """Share of invalid events, 0 to 1, above which the replay stops; None is the default."""
    breaker: bool | None = None
    """Whether a sudden rise of that share stops it, too; None is no, or what the plan says."""
    only: frozenset[DifferenceKind] = frozenset()
    """Differences from `compare` that are written; empty writes every result."""
    files: tuple[str, ...] = ()
    """Files of raw records to read instead of the raw topic."""
    received_at: int | None = None
    """Kafka timestamp of lines of files that have none, in epoch milliseconds."""
    compare: str | None = None
    """Topic of enriched events that results are compared with; None compares nothing."""
    compare_dead_letters: str | None = None
    """Topic of the dead letters that belong to `compare`; None is the usual one, if known."""
    show: int = 3
    """Number of examples of each difference and reason in a comparison."""
    reveal: bool = False
    """Whether these examples show personal data."""
    newly_invalid: FileOutput | None = None
    """File that lists the newly invalid events of a comparison."""
    spill_dir: Path | None = None
    """Folder of temporary files; None is the system's."""

    def __post_init__(self) -> None:
        start, end = self.start.time, self.end.time
        if start is not None and end is not None and start >= end:
            raise SettingsError(["--from must be earlier than --to"])
        if self.output is None:
            return
        if self.into_live:
            raise SettingsError(["--output and --into-live exclude each other"])
        live = self.output == self.settings.topics.enriched
        hint = ", or say --into-live" if live else ""
        require_no_role("--output", self.output, self.settings.topics, hint=hint)

    @property
    def invalid_ratio(self) -> float:
        """The share of invalid events above which a new replay stops."""
        ratio = self.max_invalid_ratio
        return DEFAULT_MAX_INVALID_RATIO if ratio is None else ratio

    @property
    def compared_topic(self) -> str | None:
        """The topic that results are compared with: a correction run always has one."""
        return self.compare or (self.settings.topics.enriched if self.only else None)
