"""What became of records, counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from pipeline.core.record import Output, Role


@dataclass(slots=True)
class Tally:
    """What became of the records of one transaction, or of many."""

    records: int = 0
    enriched: int = 0
    identify: int = 0
    dead_letters: Counter[str] = field(default_factory=Counter)
    """By reason code."""
    dropped: Counter[str] = field(default_factory=Counter)
    """By reason code."""

    def count(self, output: Output) -> None:
        """Count one output."""
        match output.role:
            case Role.ENRICHED:
                self.enriched += 1
            case Role.IDENTIFY:
                self.identify += 1
            case Role.DEAD_LETTER:
                self.dead_letters[output.reason] += 1
            case Role.DROPPED:
                self.dropped[output.reason] += 1

    def add(self, other: Tally) -> None:
        """Count the other's on top."""
        self.records += other.records
        self.enriched += other.enriched
        self.identify += other.identify
        self.dead_letters.update(other.dead_letters)
        self.dropped.update(other.dropped)
