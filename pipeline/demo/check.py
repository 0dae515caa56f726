"""What the demo shows: the outputs of the events that were read, and whether they add up."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Final, NamedTuple

from pipeline.core.dead_letter import read_headers
from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.record import Record
from pipeline.files.explain import Explanation

SHOWN: Final = 3


class OutcomeCheck(NamedTuple):
    """Contents of the output topics, compared with the input."""

    events: int
    """Number of outcomes that the raw records must have."""
    enriched: int
    dead_letters: Counter[str]
    """Number of dead letters by reason."""
    examples: dict[str, tuple[str, str]]
    """One dead letter for each reason: its source, and its reasons as JSON."""
    missing: int
    duplicated: int

    @property
    def adds_up(self) -> bool:
        """Whether input = enriched + dead letters, each source exactly once."""
        outputs = self.enriched + self.dead_letters.total()
        return self.events == outputs and not self.missing and not self.duplicated


def examine(
    events: int, enriched: Iterable[Record], dead_letters: Iterable[Record]
) -> OutcomeCheck:
    """Compare the outputs with the number of events that were generated.

    Each output names its source (`topic/partition/offset[/index]`), so that a duplicate can't hide
    an event that is missing.
    """
    seen: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    examples: dict[str, tuple[str, str]] = {}
    count = 0
    for record in enriched:
        seen[(dict(record.headers).get(TrackHeader.SOURCE) or b"").decode()] += 1
        count += 1
    for record in dead_letters:
        headers = read_headers(record.headers)
        seen[headers[DlqHeader.SOURCE]] += 1
        reason = headers[DlqHeader.REASON]
        reasons[reason] += 1
        examples.setdefault(reason, (headers[DlqHeader.SOURCE], headers[DlqHeader.REASONS]))
    duplicated = seen.total() - len(seen)
    return OutcomeCheck(events, count, reasons, examples, max(0, events - len(seen)), duplicated)


def selected_examples(explanations: Iterable[Explanation]) -> list[Explanation]:
    """A few events in which much was changed, each in a different way."""
    by_kind: dict[frozenset[str], Explanation] = {}
    for explanation in explanations:
        codes = frozenset(effect.code for effect in explanation.effects if effect.changes)
        by_kind.setdefault(codes, explanation)
    weight: defaultdict[str, int] = defaultdict(int)
    for codes in by_kind:
        for code in codes:
            weight[code] += 1
    selected: list[Explanation] = []
    shown: set[str] = set()
    while by_kind and len(selected) < SHOWN:
        # The event with most changes that are not shown yet; rare changes count more.
        best = max(by_kind, key=lambda codes: sum(1 / weight[code] for code in codes - shown))
        selected.append(by_kind.pop(best))
        shown |= best
    return selected
