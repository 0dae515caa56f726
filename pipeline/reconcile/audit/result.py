"""What an audit has found: counts, the first discrepancies, and what was excluded and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pipeline.core.reasons import DocumentedEnum
from pipeline.reconcile.revenue import RevenueBalance


class DiscrepancyKind(DocumentedEnum):
    """The ways in which outputs can deviate from what the rules give, each with its meaning."""

    MISSING = "missing", "an event, or its identify message, has no output"
    DUPLICATED = "duplicated", "an event has more than its one output"
    ORPHANED = "orphaned", "an output belongs to no raw event"
    MISMATCHED = "mismatched", "an output is not what the rules make of its event"
    OUT_OF_ORDER = "out_of_order", "an output comes before that of an earlier event of the same key"


EXCLUDED: Final = {
    "other_rules": "outputs under another contract: checked for presence only",
    "set_aside": "dead letters of records that the broker rejected, that crashed the program, or "
    "whose schema the registry did not know",
    "pointers": "dead letters that only point to their raw record and expire with it",
    "replayed": "outputs of replays, not compared",
    "redriven": "outputs of redrives, not compared",
    "foreign": "records of other programs in the dead-letter topic",
    "before": "outputs of raw records before the window",
    "outside": "outputs of other raw records outside the window",
    "expired": "outputs that retention has deleted before their raw records",
    "perhaps_dropped": "events without an output that other rules may have dropped or forwarded",
    "compacted": "outputs whose raw record compaction has deleted",
    "copies": "raw records that are copies of others (accept_origin_headers)",
}
"""Word for what is not checked, or not fully checked → its meaning."""


class Discrepancy(NamedTuple):
    """One event or output that does not reconcile."""

    kind: DiscrepancyKind
    source: str
    """`topic/partition/offset[/index]` of the raw event; empty when the output names none."""
    output: str
    """`topic/partition/offset` of the output; empty when there is none."""
    detail: str
    """What is wrong, in a few words; never an event's content."""


@dataclass(slots=True)
class AuditResult:
    """What an audit has found; `ok` says whether everything reconciles."""

    contract: str = ""
    """`version;hash` of the rules under which the raw records were processed again."""
    group: str = ""
    ranges: dict[str, tuple[int, int]] = field(default_factory=dict)
    """`topic/partition` → first audited raw offset and the one after the last."""

    records: int = 0
    """Number of raw records that were processed again."""
    events: int = 0
    """Number of events in them; each must have exactly one outcome."""
    enriched: int = 0
    """Number of events that must have an enriched event as their outcome."""
    dead_letters: int = 0
    """Number of events that must have a dead letter as their outcome."""
    dropped: int = 0
    """Number of events that a setting drops."""
    forwarded: int = 0
    """Number of events that must be forwarded. The four outcomes add up to `events`."""
    identify: int = 0
    """Number of identify messages that must exist in addition."""

    missing: int = 0
    duplicated: int = 0
    orphaned: int = 0
    mismatched: int = 0
    out_of_order: int = 0
    discrepancies: list[Discrepancy] = field(default_factory=list)
    """The first few of each kind, in the order of `DiscrepancyKind`."""

    excluded: Counter[str] = field(default_factory=Counter)
    """What was not checked, or not fully checked, by the words of `EXCLUDED`."""
    notes: list[str] = field(default_factory=list)
    """Sentences about the limits of this audit, such as what retention had deleted."""
    revenue: RevenueBalance | None = None
    """Revenue of the audited records, when it was requested."""
    seconds: float = 0.0

    @property
    def discrepancy_count(self) -> int:
        """Number of discrepancies of all kinds."""
        return sum(self.count(kind) for kind in DiscrepancyKind)

    @property
    def ok(self) -> bool:
        """Whether every event has exactly its outcome, and the revenue, if audited, balances."""
        return not self.discrepancy_count and (self.revenue is None or self.revenue.ok)

    def count(self, kind: DiscrepancyKind) -> int:
        """Return the number of discrepancies of one kind."""
        number: int = getattr(self, kind.value)
        return number

    def report(self, discrepancy: Discrepancy, show: int) -> None:
        """Count a discrepancy, and keep it when it is among the first `show` of its kind."""
        number = self.count(discrepancy.kind) + 1
        setattr(self, discrepancy.kind.value, number)
        if number <= show:
            self.discrepancies.append(discrepancy)

    def to_dict(self) -> dict[str, Any]:
        """Return the whole result as JSON values."""
        return {
            "ok": self.ok,
            **{kind.value: self.count(kind) for kind in DiscrepancyKind},
            "discrepancies": [discrepancy._asdict() for discrepancy in self.discrepancies],
            "records": self.records,
            "events": self.events,
            "outcomes": {
                "enriched": self.enriched,
                "dead_letters": self.dead_letters,
                "dropped": self.dropped,
                "forwarded": self.forwarded,
                "identify": self.identify,
            },
            "excluded": dict(self.excluded),
            "notes": self.notes,
            "revenue": None if self.revenue is None else self.revenue.to_dict(),
            "contract": self.contract,
            "group": self.group,
            "ranges": {place: list(ends) for place, ends in self.ranges.items()},
            "seconds": round(self.seconds, 3),
        }
