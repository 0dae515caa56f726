"""The demo's facts: what was written for the events that were read, and whether it adds up."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Final, NamedTuple

from pipeline.core.dead_letter import read_headers
from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.record import Record
from pipeline.files.explain import Explanation

SHOWN: Final = 3


class Findings(NamedTuple):
    """What the output topics hold."""

    events: int
    """Outcomes that the raw records must have."""
    enriched: int
    dead_letters: Counter[str]
    """By reason."""
    examples: dict[str, tuple[str, str]]
    """Reason → (source, what is wrong in one sentence)."""
    lost: int
    doubled: int

    @property
    def adds_up(self) -> bool:
        """Whether input = enriched + dead letters, each source exactly once."""
        outputs = self.enriched + self.dead_letters.total()
        return self.events == outputs and not self.lost and not self.doubled


def examine(events: int, enriched: Iterable[Record], letters: Iterable[Record]) -> Findings:
    """Hold the outputs against the number of events that were generated.

    Each output names its source (`topic/partition/offset[/index]`), so that a doubled one can't
    stand in for a lost one.
    """
    seen: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    examples: dict[str, tuple[str, str]] = {}
    count = 0
    for record in enriched:
        seen[(dict(record.headers).get(TrackHeader.SOURCE) or b"").decode()] += 1
        count += 1
    for record in letters:
        headers = read_headers(record.headers)
        seen[headers[DlqHeader.SOURCE]] += 1
        reason = headers[DlqHeader.REASON]
        reasons[reason] += 1
        examples.setdefault(reason, (headers[DlqHeader.SOURCE], headers[DlqHeader.REASONS]))
    doubled = seen.total() - len(seen)
    return Findings(events, count, reasons, examples, max(0, events - len(seen)), doubled)


def telling(explanations: Iterable[Explanation]) -> list[Explanation]:
    """A few events in which much was changed, each in another way."""
    by_kind: dict[frozenset[str], Explanation] = {}
    for explanation in explanations:
        codes = frozenset(effect.code for effect in explanation.effects if effect.changes)
        by_kind.setdefault(codes, explanation)
    weight: defaultdict[str, int] = defaultdict(int)
    for codes in by_kind:
        for code in codes:
            weight[code] += 1
    chosen: list[Explanation] = []
    told: set[str] = set()
    while by_kind and len(chosen) < SHOWN:
        # The one that tells most that was not told yet; rare changes count more.
        best = max(by_kind, key=lambda codes: sum(1 / weight[code] for code in codes - told))
        chosen.append(by_kind.pop(best))
        told |= best
    return chosen
