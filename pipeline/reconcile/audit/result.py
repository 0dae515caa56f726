"""What an audit found: counts, the first offending coordinates, and what was left out and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pipeline.core.reasons import DocumentedEnum
from pipeline.reconcile.revenue import Money


class Kind(DocumentedEnum):
    """What can be wrong with an outcome; each has a meaning for people."""

    LOST = "lost", "an event, or its identify message, has no output"
    DOUBLED = "doubled", "an event has more than its one output"
    INVENTED = "invented", "an output belongs to no event"
    DIFFERENT = "different", "an output is not what the rules make of its event"
    OUT_OF_ORDER = "out_of_order", "an output stands before an earlier one of the same key"


APART: Final = {
    "other_rules": "outputs under another contract: checked for presence only",
    "set_aside": "letters of records that the broker refused or that stopped the program",
    "pointers": "letters that only point to their raw record: its retention is theirs",
    "replayed": "outputs of replays, not compared",
    "redriven": "outputs of redrives, not compared",
    "foreign": "records of other programs in the dead-letter topic",
    "before": "outputs of raw records before the window",
    "outside": "outputs of other raw records outside the window",
    "expired": "outputs that retention has deleted before their raw records",
    "perhaps_dropped": "events without output that other rules may have dropped",
    "compacted": "outputs whose raw record compaction has deleted",
    "copies": "raw records that are copies of others (accept_origin_headers)",
}
"""What is not judged, or not in full: word → meaning."""


class Offence(NamedTuple):
    """One thing that does not add up."""

    kind: Kind
    source: str
    """`topic/partition/offset[/index]` of the raw event; empty when the output names none."""
    place: str
    """`topic/partition/offset` of the output; empty when there is none."""
    detail: str
    """What is wrong, in a few words; never an event's content."""


@dataclass(slots=True)
class AuditResult:
    """What an audit found; `ok` says whether it adds up."""

    contract: str = ""
    """`version;hash` of the rules that the raw records were recomputed with."""
    group: str = ""
    ranges: dict[str, tuple[int, int]] = field(default_factory=dict)
    """`topic/partition` → first raw offset and the one after the last that were looked at."""

    records: int = 0
    """Raw records that were recomputed."""
    events: int = 0
    """Events in them: each must have exactly one outcome."""
    enriched: int = 0
    dead_letters: int = 0
    dropped: int = 0
    """Outcomes that the events must have, by class: together they are `events`."""
    identify: int = 0
    """Identify messages that there must be beside them."""

    lost: int = 0
    doubled: int = 0
    invented: int = 0
    different: int = 0
    out_of_order: int = 0
    offences: list[Offence] = field(default_factory=list)
    """The first few of each kind, in the order of `Kind`."""

    apart: Counter[str] = field(default_factory=Counter)
    """What was not judged, or not in full, by the word for it (see `APART`)."""
    notes: list[str] = field(default_factory=list)
    """Sentences about the limits of this audit: what retention had deleted, for example."""
    money: Money | None = None
    """Only when it was asked for."""
    seconds: float = 0.0

    @property
    def offending(self) -> int:
        """Offences of all kinds."""
        return sum(self.count(kind) for kind in Kind)

    @property
    def ok(self) -> bool:
        """Whether every event has exactly its outcome, and the money adds up where it was asked."""
        return not self.offending and (self.money is None or self.money.ok)

    def count(self, kind: Kind) -> int:
        """Offences of one kind."""
        number: int = getattr(self, kind.value)
        return number

    def accuse(self, offence: Offence, show: int) -> None:
        """Count an offence; keep it when it is among the first `show` of its kind."""
        number = self.count(offence.kind) + 1
        setattr(self, offence.kind.value, number)
        if number <= show:
            self.offences.append(offence)

    def plain(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "ok": self.ok,
            **{kind.value: self.count(kind) for kind in Kind},
            "offences": [offence._asdict() for offence in self.offences],
            "records": self.records,
            "events": self.events,
            "outcomes": {
                "enriched": self.enriched,
                "dead_letters": self.dead_letters,
                "dropped": self.dropped,
                "identify": self.identify,
            },
            "apart": dict(self.apart),
            "notes": self.notes,
            "money": None if self.money is None else self.money.plain(),
            "contract": self.contract,
            "group": self.group,
            "ranges": {place: list(ends) for place, ends in self.ranges.items()},
            "seconds": round(self.seconds, 3),
        }
