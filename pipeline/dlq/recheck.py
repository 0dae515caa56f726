"""What would happen now: a letter under the current rules, repaired or not; nothing is written."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from pipeline.core.dead_letter import read_headers
from pipeline.core.headers import DlqHeader
from pipeline.core.record import Output, Role
from pipeline.dlq.dead_letter import DeadLetter, Problem
from pipeline.dlq.isolated_process import Isolated, KilledError
from pipeline.dlq.reason_counts import ReasonCounts
from pipeline.dlq.repair import Repair, RepairError, generated_id, with_message_id
from pipeline.dlq.reprocess import Again
from pipeline.errors import UnusableFileError

_SAMPLES: Final = 3
_POINTER: Final = "the value was too large for this topic; the raw record is"
CRASH: Final = "crash"
"""The stage of letters that killed a process, or met a bug."""


class Kind(StrEnum):
    """What would become of a letter."""

    PASSES = "passes"
    SAME = "same reason"
    OTHER = "other reason"
    DROPPED = "dropped"
    """A setting drops such calls now; they are neither enriched nor dead letters."""
    LEFT_OUT = "left out"
    """The repair gave None."""
    REPAIR_FAILED = "repair failed"
    POINTER = "pointer only"
    """The letter does not have the raw record, only where it is."""
    CRASHES = "crashes"


FAILING: Final = frozenset({Kind.SAME, Kind.OTHER, Kind.REPAIR_FAILED, Kind.POINTER, Kind.CRASHES})
"""What still stands in the way."""


class Verdict(NamedTuple):
    """What would become of one letter."""

    kind: Kind
    outputs: tuple[Output, ...] = ()
    """What would be written: enriched event and identify message, or the new dead letter."""
    value: bytes | None = None
    """What was tried: the letter's value, repaired or not."""
    detail: str = ""
    """Reason code now, or a sentence about what went wrong."""

    @property
    def problems(self) -> list[Problem]:
        """Why the rules refuse it now; of a batch that was repaired into one, of every event."""
        return [
            Problem(**each)
            for output in self.outputs
            if output.role is Role.DEAD_LETTER
            for each in msgspec.json.decode(read_headers(output.headers)[DlqHeader.REASONS])
        ]


class Examiner:
    """Examines letters; those of stage `crash` in a process of their own, which `end` ends."""

    def __init__(self, again: Again, repair: Repair) -> None:
        self._again = again
        self._isolated = Isolated(again.settings, again.identity)
        self._repair = repair

    def end(self) -> None:
        """Let go of the process, if there is one."""
        self._isolated.end()

    def examine(self, letter: DeadLetter, now: int) -> Verdict:
        """The verdict at this time, epoch milliseconds; never raises for what a letter holds.

        UnusableFileError when the repair is no good for any letter.
        """
        if letter.is_pointer:
            where = letter.source.text() if letter.source else "unknown"
            return Verdict(Kind.POINTER, detail=f"{letter.place}: {_POINTER} {where}")
        try:
            value = self._repaired(letter, now)
            if value is None:
                return Verdict(Kind.LEFT_OUT)
            # An absent value is another one than an empty one.
            tried = None if letter.value is None and not value else value
            outputs = self._outputs(letter, now, tried)
        except RepairError as error:
            return Verdict(Kind.REPAIR_FAILED, detail=str(error))
        except UnusableFileError:
            raise
        except KilledError as error:
            return Verdict(Kind.CRASHES, detail=f"{letter.place}: {error}")
        except Exception as error:  # noqa: BLE001  a bug of the rules concerns this letter only
            return Verdict(Kind.CRASHES, detail=f"{letter.place}: {error!r}")
        return _verdict(letter, outputs, tried)

    def _repaired(self, letter: DeadLetter, now: int) -> bytes | None:
        """What is to be tried; None to leave the letter out."""
        if self._repair.name and letter.stage == CRASH:
            # A repair decodes here what may have killed a process by being decoded.
            self._isolated.probe(letter, now)
        value = self._repair.apply(letter)
        if value is None or value == (letter.value or b""):
            return value
        return with_message_id(letter, value, generated_id(letter))

    def _outputs(self, letter: DeadLetter, now: int, value: bytes | None) -> tuple[Output, ...]:
        rules = self._isolated if letter.stage == CRASH else self._again
        return rules.outputs(letter, now, value)


class SourceExaminer(Examiner):
    """For dead letters that go back to where they are from: no rule of ours is about them."""

    def _repaired(self, letter: DeadLetter, now: int) -> bytes | None:
        del now
        return self._repair.apply(letter)

    def _outputs(self, letter: DeadLetter, now: int, value: bytes | None) -> tuple[Output, ...]:
        """The record that it was: what the other system has added is left out."""
        record, source = letter.record, letter.source
        partition = source.partition if source else record.partition
        time = letter.source_timestamp or letter.failed_at or now
        return (Output(Role.ENRICHED, value, record.key, letter.headers, time, partition),)


def _verdict(letter: DeadLetter, outputs: tuple[Output, ...], value: bytes | None) -> Verdict:
    refused = [output for output in outputs if output.role is Role.DEAD_LETTER]
    if refused:
        reason = refused[0].reason
        kind = Kind.SAME if reason == letter.reason else Kind.OTHER
        return Verdict(kind, outputs, value, reason)
    if all(output.role is Role.DROPPED for output in outputs):
        return Verdict(Kind.DROPPED, outputs, value)
    return Verdict(Kind.PASSES, outputs, value)


class Sample(NamedTuple):
    """One letter, for a report."""

    place: str
    """`partition/offset` in the dead-letter topic."""
    source: str
    detail: str
    before: bytes | None = None
    """The letter's value, of a sample that a repair has changed."""
    after: bytes | None = None


@dataclass(slots=True)
class Outcome:
    """Of the letters with one old reason that would share one fate."""

    count: int = 0
    samples: list[Sample] = field(default_factory=list)
    """The first ones, and before all others those that the repair has changed."""

    def keep(self, sample: Sample) -> None:
        """Keep it while there is room for it."""
        if len(self.samples) == _SAMPLES:
            same = [number for number, each in enumerate(self.samples) if each.after is None]
            if not same:
                return
            del self.samples[same[-1]]
        self.samples.append(sample)


class Report:
    """Verdicts by old reason and kind."""

    def __init__(self) -> None:
        self.outcomes: defaultdict[tuple[str, Kind, str], Outcome] = defaultdict(Outcome)
        """(old reason, kind, new reason or empty) → how many, and some of them.

        Of the old reasons there are at most as many as `ReasonCounts` tells apart.
        """
        self._reasons = ReasonCounts()
        self.changed = 0
        """Letters that the repair has changed."""

    def add(self, letter: DeadLetter, verdict: Verdict) -> None:
        """Count one in."""
        new = verdict.detail if verdict.kind is Kind.OTHER else ""
        outcome = self.outcomes[self._reasons.add(letter.reason), verdict.kind, new]
        outcome.count += 1
        changed = verdict.value is not None and verdict.value != letter.value
        self.changed += changed
        if changed or len(outcome.samples) < _SAMPLES:
            source = letter.source.text() if letter.source else ""
            values = (letter.value, verdict.value) if changed else (None, None)
            outcome.keep(Sample(letter.place, source, verdict.detail, *values))

    def total(self, kind: Kind | None = None) -> int:
        """Letters of a kind, or all."""
        return sum(
            outcome.count for (_, each, _), outcome in self.outcomes.items() if kind in {None, each}
        )

    @property
    def failing(self) -> int:
        """Letters that something still stands in the way of."""
        return sum(self.total(kind) for kind in FAILING)
