"""Counts of the outcomes of records: the only counter of its kind."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from pipeline.core.record import Output, Role


@dataclass(slots=True)
class OutcomeCounts:
    """Outcomes of the records of a transaction, a worker, a replay, a dry run or a file."""

    records: int = 0
    """Records that were processed."""
    left_out: int = 0
    """Records that were read but not selected: by filters, or outside a time window."""
    enriched: int = 0
    identify: int = 0
    dead_letters: Counter[str] = field(default_factory=Counter)
    """Dead letters by reason code."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Dropped events by reason code: a setting says to write them nowhere."""
    forwarded: int = 0
    """Other calls that are written as they are, because a setting says so."""

    @property
    def rejected(self) -> int:
        """Number of dead letters of all reasons together."""
        return self.dead_letters.total()

    @property
    def events(self) -> int:
        """Number of events of all outcomes; a record may hold a batch of them."""
        return self.enriched + self.rejected + self.dropped.total() + self.forwarded

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
            case Role.OTHER:
                self.forwarded += 1

    def __add__(self, other: OutcomeCounts) -> OutcomeCounts:
        """Sum of both, as a new object."""
        return OutcomeCounts(
            self.records + other.records,
            self.left_out + other.left_out,
            self.enriched + other.enriched,
            self.identify + other.identify,
            self.dead_letters + other.dead_letters,
            self.dropped + other.dropped,
            self.forwarded + other.forwarded,
        )

    def to_dict(self) -> dict[str, Any]:
        """The outcomes as JSON values, the most frequent reason first."""
        return {
            "enriched": self.enriched,
            "identify": self.identify,
            "dead_letters": self.rejected,
            "dropped": self.dropped.total(),
            "forwarded": self.forwarded,
            "reasons": dict(self.dead_letters.most_common()),
        }
