"""The circuit breaker: a bad deployment must not move the raw topic into the dead-letter topic.

It is armed only after a change of the contract or its settings. Otherwise anyone with a public
write key could stop good traffic by sending garbage. What it needs to know about the time before a
restart is stored as metadata of the committed offsets (`OffsetMetadata`). Pure: the loop asks it,
and it knows neither clock nor log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from copy import copy
from typing import Final, Literal, NamedTuple

from pipeline.core.counts import OutcomeCounts
from pipeline.core.offset_metadata import OffsetMetadata
from pipeline.core.reasons import Reason
from pipeline.ports import CircuitBreakerTrip

SIGNIFICANT: Final = 500
"""Number of watched events from which a share is meaningful. With a usual share of 2 %, 500 events
hold 10 ± 3 rejected ones, far from the 60 that open the breaker at the default `breaker.max_rise`
of 0.1."""
_BEFORE_RESTART: Final = "(before a restart)"
"""Reason given for rejections before a restart: offset metadata keeps only their number."""
_NOT_COUNTED: Final = Reason.UNSUPPORTED_TYPE.value
"""Other types of calls on the topic are a matter of routing, not of a bad deployment."""


class CircuitBreakerRules(NamedTuple):
    """The settings `breaker.*`."""

    mode: Literal["after-change", "always", "off"]
    window: int
    """Number of events watched after a change."""
    max_rise: float
    """By how much the share of rejected events may exceed the usual one, 0 to 1."""
    accept: str | None
    """Hash of the contract that may run whatever its share of rejected events is."""


class CircuitBreaker:
    """Decides whether the outcomes of a batch may be written.

    `contract` is `version;hash` of the running contract; `origin` is copied to the offset metadata.
    """

    def __init__(self, rules: CircuitBreakerRules, contract: str, *, origin: bool) -> None:
        self._rules = rules
        self._contract = contract
        self._origin = origin
        self._may_watch = rules.mode != "off" and rules.accept != contract.partition(";")[2]
        self._decided = False
        self._before = ""
        self._base = 0.0
        self._known = 0
        """Number of events that the usual share is averaged over, up to the window."""
        self._left = 0
        self._seen = 0
        self._reasons: Counter[str] = Counter()

    @property
    def armed(self) -> bool:
        """Whether `watch` must be called before a batch is written."""
        return self._left > 0

    def inherit(self, notes: Sequence[OffsetMetadata]) -> None:
        """Learn from the offset metadata of assigned partitions which contract ran before.

        Only the first assignment counts, and the newest note in it: idle partitions keep old ones.
        """
        if self._decided or not notes:
            return
        self._decided = True
        newest = max(notes, key=lambda note: note.at)
        self._base, self._known = newest.base, self._rules.window
        changed = newest.contract != self._contract
        self._before = newest.contract if changed else ""
        if not self._may_watch:
            return
        if changed:
            self._left = self._rules.window
        elif newest.left:
            self._left = min(newest.left, self._rules.window)
            self._seen = self._rules.window - self._left
            self._reasons = +Counter({_BEFORE_RESTART: newest.bad})

    def watch(self, counts: OutcomeCounts) -> CircuitBreakerTrip | None:
        """Judge the outcomes of a batch before it is written: None to write it, else why not."""
        events, invalid = _counted(counts)
        seen = self._seen + events
        reasons = self._reasons + invalid
        if seen >= SIGNIFICANT and reasons.total() / seen > self._base + self._rules.max_rise:
            return CircuitBreakerTrip(
                self._contract, self._before, reasons.total(), seen, self._base, dict(reasons)
            )
        return None

    def after(self, counts: OutcomeCounts) -> CircuitBreaker:
        """Return the breaker as it is after a batch was written.

        This one stays unchanged, in case the commit fails.
        """
        made = copy(self)
        made._count(counts)  # noqa: SLF001  of its own kind
        return made

    def _count(self, counts: OutcomeCounts) -> None:
        events, invalid = _counted(counts)
        if not events:
            return
        if self.armed:
            self._seen += events
            self._reasons = self._reasons + invalid
            self._left = max(0, self._left - events)
            if not self._left:
                self._base = self._reasons.total() / self._seen
                self._start_watching_again()
            return
        self._known = min(self._rules.window, self._known + events)
        weight = min(1.0, events / self._known)
        self._base += (invalid.total() / events - self._base) * weight
        if self._rules.mode == "always" and self._known >= SIGNIFICANT and self._may_watch:
            self._left = self._rules.window

    def _start_watching_again(self) -> None:
        self._seen, self._reasons = 0, Counter()
        if self._rules.mode == "always":
            self._left = self._rules.window

    def note(self, now: int) -> OffsetMetadata:
        """Return the offset metadata to commit; `now` is in epoch milliseconds."""
        bad = self._reasons.total()
        return OffsetMetadata(self._contract, self._base, self._left, bad, now, self._origin)


def _counted(counts: OutcomeCounts) -> tuple[int, Counter[str]]:
    """Return how many events count, and the rejected ones by reason.

    Forwarded and dropped calls do not count: many of them would hide that track calls fail.
    """
    invalid = Counter(counts.dead_letters)
    invalid.pop(_NOT_COUNTED, None)
    return counts.enriched + invalid.total(), invalid
