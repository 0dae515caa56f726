"""The breaker: a bad deploy must not pour the raw topic into the dead-letter topic.

It is armed only after a change of the contract or its settings, since anyone with a public write
key could otherwise stop good traffic by sending rubbish. What it has to know of the time before a
restart stands beside the committed offsets (`CommitNote`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from copy import copy
from typing import Final, Literal, NamedTuple

from pipeline.core.counts import Tally
from pipeline.core.offset_metadata import CommitNote
from pipeline.core.reasons import Reason
from pipeline.ports import CircuitBreakerTrip

JUDGED_FROM: Final = 500
"""Events that must have been watched before a share means something."""
_BEFORE_RESTART: Final = "(before a restart)"
"""Stands for the reasons that a note does not tell."""
_NOT_COUNTED: Final = Reason.UNSUPPORTED_TYPE.value
"""Other kinds of calls on the topic are a matter of routing, not of a bad deploy."""


class CircuitBreakerRules(NamedTuple):
    """What the settings `breaker.*` say."""

    mode: Literal["after-change", "always", "off"]
    window: int
    """Events that are watched after a change."""
    max_rise: float
    """The share of invalid events may exceed the usual one by so much, 0 to 1."""
    accept: str | None
    """Hash of the contract that may run whatever its share is."""


class CircuitBreaker:
    """Decides whether what a batch would give may be written.

    `contract` is `version;hash` of the rules that run; `origin` goes into the notes.
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
        """Events that the base is an average of, up to the window."""
        self._left = 0
        self._seen = 0
        self._reasons: Counter[str] = Counter()

    @property
    def armed(self) -> bool:
        """Whether `watch` must be asked before a batch is written."""
        return self._left > 0

    def inherit(self, notes: Sequence[CommitNote]) -> None:
        """Learn from the notes of assigned partitions; the first ones decide, the newest of them.

        Idle partitions keep old notes, so only the newest tells what ran before.
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

    def watch(self, tally: Tally) -> CircuitBreakerTrip | None:
        """What a batch would give: None when it may be written, else why not."""
        events, invalid = _counted(tally)
        seen = self._seen + events
        reasons = self._reasons + invalid
        if seen >= JUDGED_FROM and reasons.total() / seen > self._base + self._rules.max_rise:
            return CircuitBreakerTrip(
                self._contract, self._before, reasons.total(), seen, self._base, dict(reasons)
            )
        return None

    def after(self, tally: Tally) -> CircuitBreaker:
        """The breaker as it is once a batch is written; this one stays, in case it is not."""
        made = copy(self)
        made._count(tally)  # noqa: SLF001  of its own kind
        return made

    def _count(self, tally: Tally) -> None:
        events, invalid = _counted(tally)
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
        if self._rules.mode == "always" and self._known >= JUDGED_FROM and self._may_watch:
            self._left = self._rules.window

    def _start_watching_again(self) -> None:
        self._seen, self._reasons = 0, Counter()
        if self._rules.mode == "always":
            self._left = self._rules.window

    def note(self, now: int) -> CommitNote:
        """What to write beside the offsets; `now` in epoch milliseconds."""
        bad = self._reasons.total()
        return CommitNote(self._contract, self._base, self._left, bad, now, self._origin)


def _counted(tally: Tally) -> tuple[int, Counter[str]]:
    """How many events count, and the invalid ones by reason."""
    invalid = Counter(tally.dead_letters)
    invalid.pop(_NOT_COUNTED, None)
    return tally.enriched + invalid.total(), invalid
