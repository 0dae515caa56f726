"""Poison pills: finding the record that crashes the process which handles it.

A crash is described by the spans that the worker was processing. What two overlapping crashes have
in common becomes a suspect. Suspects are processed alone and bisected: each crash inside one
narrows it to the half that was being processed, and a half that is committed is cleared. When one
record is left and crashes its worker again, it is quarantined: dead-lettered without being
processed.

One crash proves little, since processes also die for reasons unrelated to records. Hence:

- A record is quarantined only after crashes in which it was alone in its transaction.
- A record is cleared by being committed once, however many crashes there were before.
- When a worker crashes over a quarantined record, which is not even processed, or over one record
  after another with nothing committed in between, the records are not the cause. No more of them
  are quarantined.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final, Literal, NamedTuple

from pipeline.ports import Span

CRASHES: Final = 2
"""Number of crashes in overlapping spans that make a suspect, and of one record alone that
quarantine it. Two, because one crash may be a coincidence, and each one costs a restart."""
_REMEMBERED: Final = 32
"""Number of crashes that a new one is compared with."""
_IN_A_ROW: Final = 3
"""Number of records that may be quarantined with nothing else committed in between. A broken
library would otherwise dead-letter the whole topic, one record at a time."""
SETTLED_S: Final = 60.0
"""A finding is dropped when a worker got past it so long ago. A batch whose commit failed is
processed again sooner than that."""


class CrashFinding(NamedTuple):
    """What a crash has shown about the records that were being processed."""

    kind: Literal["suspected", "bisected", "reproduced", "confirmed", "not_a_record"]
    """Ends the name of the log event, `crash_…`. `reproduced`: a single record crashed its worker
    while it was alone. `confirmed`: it did so again, and is quarantined."""
    span: Span


@dataclass
class _Suspect:
    span: Span
    crashes: int = 0
    """Number of crashes while a single record was processed alone."""


@dataclass
class PoisonPillTracker:
    """Tracks crashes and suspects for one supervisor. Times are seconds of any monotonic clock."""

    _crashes: deque[Sequence[Span]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    _suspects: dict[int, _Suspect] = field(default_factory=dict)
    _quarantined: dict[int, Span] = field(default_factory=dict)
    _passed: dict[int, float] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _in_a_row: int = 0
    _committed: int = 0

    @property
    def suspects(self) -> dict[int, Span]:
        """Spans to bisect, by the number of the finding."""
        return {number: suspect.span for number, suspect in self._suspects.items()}

    @property
    def quarantined(self) -> dict[int, Span]:
        """Spans to dead-letter without processing, by the number of the finding."""
        return dict(self._quarantined)

    def crashed(self, spans: Sequence[Span], committed: int) -> list[CrashFinding]:
        """Draw conclusions from the crash of a worker that was processing `spans`.

        `committed` is the number of records that all workers have committed so far.
        """
        if not spans:
            return []
        already = [span for span in self._quarantined.values() if _all_within(spans, span)]
        if already:
            return [CrashFinding("not_a_record", already[0])]
        known = {
            number: suspect
            for number, suspect in self._suspects.items()
            if any(_common(suspect.span, span) for span in spans)
        }
        if known:
            # A worker that did not know of the suspect yet was processing more than it, and its
            # crash proves nothing.
            found = (
                self._narrow(number, suspect, spans[0], committed)
                for number, suspect in known.items()
                if _all_within(spans, suspect.span)
            )
            return [finding for finding in found if finding]
        return self._suspect(spans)

    def survived(self, passed: Collection[int], now: float) -> bool:
        """Note findings that workers have got past. Return whether one was dropped for that."""
        known = self._suspects.keys() | self._quarantined.keys()
        self._passed = {
            number: self._passed.get(number, now) for number in passed if number in known
        }
        settled = [number for number, since in self._passed.items() if now - since >= SETTLED_S]
        for number in settled:
            self._suspects.pop(number, None)
            self._quarantined.pop(number, None)
            del self._passed[number]
        return bool(settled)

    def _suspect(self, spans: Sequence[Span]) -> list[CrashFinding]:
        """Look for what the newest crash has in common with earlier ones."""
        used: list[Sequence[Span]] = []
        found = []
        for span in spans:
            common, crashes = _overlap(span, reversed(self._crashes))
            if len(crashes) >= CRASHES - 1:
                used += crashes
                self._suspects[next(self._numbers)] = _Suspect(common)
                found.append(CrashFinding("suspected", common))
        self._crashes = deque(
            (crash for crash in self._crashes if not any(crash is each for each in used)),
            _REMEMBERED,
        )
        if not found:
            self._crashes.append(spans)
        return found

    def _narrow(
        self, number: int, suspect: _Suspect, crashed_over: Span, committed: int
    ) -> CrashFinding | None:
        """Conclude from a crash over `crashed_over`, which lies within the suspect."""
        self._passed.pop(number, None)
        if crashed_over != suspect.span:
            # The half gets a number of its own: what was said of the whole is not true of it.
            del self._suspects[number]
            self._suspects[next(self._numbers)] = _Suspect(crashed_over)
            return CrashFinding("bisected", crashed_over)
        if crashed_over.first != crashed_over.last:
            return None
        suspect.crashes += 1
        if suspect.crashes < CRASHES:
            return CrashFinding("reproduced", crashed_over)
        if committed > self._committed + self._in_a_row:
            self._committed, self._in_a_row = committed, 0
        if self._in_a_row == _IN_A_ROW:
            return CrashFinding("not_a_record", crashed_over)
        self._in_a_row += 1
        del self._suspects[number]
        self._quarantined[next(self._numbers)] = crashed_over
        return CrashFinding("confirmed", crashed_over)


def _overlap(span: Span, crashes: Iterable[Sequence[Span]]) -> tuple[Span, list[Sequence[Span]]]:
    """Return what `span` has in common with enough earlier crashes, and those crashes."""
    used: list[Sequence[Span]] = []
    for crash in crashes:
        if len(used) == CRASHES - 1:
            break
        shared = next((found for each in crash if (found := _common(span, each))), None)
        if shared is not None:
            span = shared
            used.append(crash)
    return span, used


def _common(one: Span, other: Span) -> Span | None:
    first, last = max(one.first, other.first), min(one.last, other.last)
    same = (one.topic, one.partition) == (other.topic, other.partition)
    return one._replace(first=first, last=last) if same and first <= last else None


def _all_within(spans: Sequence[Span], outer: Span) -> bool:
    return all(_common(span, outer) == span for span in spans)
