"""Which record kills its process: the deaths of workers, and what follows from them.

A death is known by the spans that its worker was working on. Two deaths in overlapping spans make
what they have in common a suspect. Suspects are worked on alone and in halves; each death inside
one narrows it to the half that was worked on, and each half that is survived is out of it. When it
is down to one record, and this one kills again and again, it is condemned: a dead letter, unread.

A single death proves little, since processes also die for reasons that no record has. Hence:

- nobody is condemned who was not alone in the transaction, in every one of the last deaths;
- a record is cleared by being committed once, however many deaths there were before;
- a worker that dies over a condemned record, which is not even read, or over one record after the
  other with nothing committed between, does not die of records: no more of them are condemned.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final, Literal, NamedTuple

from pipeline.ports import Span

DEATHS: Final = 2
"""In overlapping spans make a suspect; of one record alone condemn it."""
_REMEMBERED: Final = 32
_IN_A_ROW: Final = 3
"""Records condemned with nothing else committed between them."""
SETTLED_S: Final = 60.0
"""A finding is dropped when it was survived so long ago: a commit that failed comes back sooner."""


class CrashFinding(NamedTuple):
    """What a death has shown."""

    kind: Literal["suspected", "narrowed", "accused", "condemned", "not_a_record"]
    """`accused`: a single record killed while it was alone, not for the last time that it may."""
    span: Span


@dataclass
class _Suspect:
    span: Span
    deaths: int = 0
    """While it was worked on alone, when it is a single record."""


@dataclass
class PoisonPillTracker:
    """The bookkeeping of one supervisor; times are seconds of any clock."""

    _deaths: deque[Sequence[Span]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    _suspects: dict[int, _Suspect] = field(default_factory=dict)
    _quarantined: dict[int, Span] = field(default_factory=dict)
    _passed: dict[int, float] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _in_a_row: int = 0
    _committed: int = 0

    @property
    def suspects(self) -> dict[int, Span]:
        """Number of the finding → records to be worked on in halves."""
        return {number: suspect.span for number, suspect in self._suspects.items()}

    @property
    def quarantined(self) -> dict[int, Span]:
        """Number of the finding → records to be dead-lettered unread."""
        return dict(self._quarantined)

    def died(self, spans: Sequence[Span], committed: int) -> list[CrashFinding]:
        """A worker crashed while it worked on `spans`.

        `committed` is the number of records that all workers have committed until now.
        """
        if not spans:
            return []
        hopeless = [span for span in self._quarantined.values() if _all_within(spans, span)]
        if hopeless:
            return [CrashFinding("not_a_record", hopeless[0])]
        known = {
            number: suspect
            for number, suspect in self._suspects.items()
            if any(_common(suspect.span, span) for span in spans)
        }
        if known:
            # One that had not heard of the suspect yet worked on more than it: that tells nothing.
            found = (
                self._narrow(number, suspect, spans[0], committed)
                for number, suspect in known.items()
                if _all_within(spans, suspect.span)
            )
            return [finding for finding in found if finding]
        return self._suspect(spans)

    def survived(self, passed: Collection[int], now: float) -> bool:
        """Findings that workers have got past; whether one of them was dropped for that."""
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
        """Look for what the newest death has in common with earlier ones."""
        used: list[Sequence[Span]] = []
        found = []
        for span in spans:
            common, deaths = _overlap(span, reversed(self._deaths))
            if len(deaths) >= DEATHS - 1:
                used += deaths
                self._suspects[next(self._numbers)] = _Suspect(common)
                found.append(CrashFinding("suspected", common))
        self._deaths = deque(
            (death for death in self._deaths if not any(death is each for each in used)),
            _REMEMBERED,
        )
        if not found:
            self._deaths.append(spans)
        return found

    def _narrow(
        self, number: int, suspect: _Suspect, died: Span, committed: int
    ) -> CrashFinding | None:
        """The process died over `died`, which is within the suspect, and over nothing else."""
        self._passed.pop(number, None)
        if died != suspect.span:
            # A number of its own: what was said of the whole is not true of the half.
            del self._suspects[number]
            self._suspects[next(self._numbers)] = _Suspect(died)
            return CrashFinding("narrowed", died)
        if died.first != died.last:
            return None
        suspect.deaths += 1
        if suspect.deaths < DEATHS:
            return CrashFinding("accused", died)
        if committed > self._committed + self._in_a_row:
            self._committed, self._in_a_row = committed, 0
        if self._in_a_row == _IN_A_ROW:
            return CrashFinding("not_a_record", died)
        self._in_a_row += 1
        del self._suspects[number]
        self._quarantined[next(self._numbers)] = died
        return CrashFinding("condemned", died)


def _overlap(span: Span, deaths: Iterable[Sequence[Span]]) -> tuple[Span, list[Sequence[Span]]]:
    """What `span` has in common with as many deaths as count, the newest first; and these."""
    used: list[Sequence[Span]] = []
    for death in deaths:
        if len(used) == DEATHS - 1:
            break
        shared = next((found for each in death if (found := _common(span, each))), None)
        if shared is not None:
            span = shared
            used.append(death)
    return span, used


def _common(one: Span, other: Span) -> Span | None:
    first, last = max(one.first, other.first), min(one.last, other.last)
    same = (one.topic, one.partition) == (other.topic, other.partition)
    return one._replace(first=first, last=last) if same and first <= last else None


def _all_within(spans: Sequence[Span], outer: Span) -> bool:
    return all(_common(span, outer) == span for span in spans)
