"""What the current rules would do with dead letters, repaired or not. Nothing is written."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from pipeline.core.dead_letter import read_headers
from pipeline.core.dead_letter_fields import Problem
from pipeline.core.headers import DlqHeader
from pipeline.core.record import Output, Role
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.reader import Coverage, open_reader
from pipeline.dlq.reason_counts import ReasonCounts
from pipeline.dlq.repair import Repair, RepairError, generated_id, no_repair, with_message_id
from pipeline.dlq.reprocess import (
    IsolatedReprocessor,
    KilledError,
    Reprocessor,
    make_reprocessor,
    sent_headers,
)
from pipeline.dlq.request import DlqRequest, OnNotice, ignore_notice
from pipeline.errors import TransportError, UnusableFileError
from pipeline.progress import OnProgress
from pipeline.wiring import WallClock

_SAMPLES: Final = 3
_POINTER: Final = "the value was too large for this topic; the raw record is"
CRASH: Final = "crash"
"""Stage of dead letters that killed a process or met a bug."""


class RecheckKind(StrEnum):
    """What the current rules would do with a dead letter."""

    PASSES = "passes"
    SAME = "same reason"
    OTHER = "other reason"
    DROPPED = "dropped"
    """A setting now drops such calls, so there is neither an enriched event nor a dead letter."""
    LEFT_OUT = "left out"
    """The repair returned None."""
    REPAIR_FAILED = "repair failed"
    POINTER = "pointer only"
    """The dead letter holds only a reference to the raw record."""
    CRASHES = "crashes"
    UNKNOWN = "not known now"
    """The schema of the raw record can't be looked up now."""


FAILING: Final = frozenset(
    {
        RecheckKind.SAME,
        RecheckKind.OTHER,
        RecheckKind.REPAIR_FAILED,
        RecheckKind.POINTER,
        RecheckKind.CRASHES,
    }
)
"""Kinds of dead letters that would still fail."""


class RecheckResult(NamedTuple):
    """What the current rules would do with one dead letter."""

    kind: RecheckKind
    outputs: tuple[Output, ...] = ()
    """Outputs that would be written: enriched event and identify message, or a new dead letter."""
    value: bytes | None = None
    """Value that was tried, repaired or not."""
    detail: str = ""
    """Reason code of the current rules, or a sentence about what went wrong."""

    @property
    def problems(self) -> list[Problem]:
        """Why the rules reject it now; of an event that was repaired into a batch, all reasons."""
        return [
            Problem(**each)
            for output in self.outputs
            if output.role is Role.DEAD_LETTER
            for each in msgspec.json.decode(read_headers(output.headers)[DlqHeader.REASONS])
        ]


class Rechecker:
    """Rechecks dead letters; those of stage `crash` in a child process, which `end` ends."""

    def __init__(self, reprocessor: Reprocessor, repair: Repair) -> None:
        self._reprocessor = reprocessor
        self._isolated = IsolatedReprocessor(reprocessor)
        self._repair = repair

    def end(self) -> None:
        """End the child process, if there is one."""
        self._isolated.end()

    def recheck(self, dead_letter: DeadLetter, now: int) -> RecheckResult:
        """Recheck one dead letter; `now` is in epoch milliseconds.

        Whatever the dead letter holds gives a result. UnusableFileError is raised when the repair
        can't work for any dead letter, and TransportError when its schema can't be looked up now.
        """
        if dead_letter.is_pointer:
            where = dead_letter.source.text() if dead_letter.source else "unknown"
            text = f"{dead_letter.position}: {_POINTER} {where}"
            return RecheckResult(RecheckKind.POINTER, detail=text)
        try:
            value = self._repaired(dead_letter, now)
            if value is None:
                return RecheckResult(RecheckKind.LEFT_OUT)
            # The rules tell an absent value from an empty one, a repair does not.
            tried = None if dead_letter.value is None and not value else value
            outputs = self._outputs(dead_letter, now, tried)
        except RepairError as error:
            return RecheckResult(RecheckKind.REPAIR_FAILED, detail=str(error))
        except (UnusableFileError, TransportError):
            raise
        except KilledError as error:
            text = f"{dead_letter.position}: {error}"
            return RecheckResult(RecheckKind.CRASHES, detail=text)
        except Exception as error:  # noqa: BLE001  a bug of the rules concerns this one only
            text = f"{dead_letter.position}: {error!r}"
            return RecheckResult(RecheckKind.CRASHES, detail=text)
        return _result(dead_letter, outputs, tried)

    def _repaired(self, dead_letter: DeadLetter, now: int) -> bytes | None:
        """Value to try; None leaves the dead letter out."""
        if self._repair.name and dead_letter.stage == CRASH:
            # A repair decodes in this process what may have killed one by being decoded.
            self._isolated.probe(dead_letter, now)
        value = self._repair.apply(dead_letter)
        if value is None or value == (dead_letter.value or b""):
            return value
        return with_message_id(dead_letter, value, generated_id(dead_letter))

    def _outputs(
        self, dead_letter: DeadLetter, now: int, value: bytes | None
    ) -> tuple[Output, ...]:
        rules = self._isolated if dead_letter.stage == CRASH else self._reprocessor
        return rules.outputs(dead_letter, now, value)


class BestEffortRechecker(Rechecker):
    """Gives a result also while a schema can't be looked up.

    Once that has failed it is not asked for again, since each time takes seconds. Why it failed was
    said when the value could not be decoded.
    """

    _has_failed = False

    def recheck(self, dead_letter: DeadLetter, now: int) -> RecheckResult:
        """Recheck one dead letter; what can't be known now is a result, too."""
        if not self._has_failed or dead_letter.frame is None or dead_letter.text is not None:
            try:
                return super().recheck(dead_letter, now)
            except TransportError:
                self._has_failed = True
        return RecheckResult(RecheckKind.UNKNOWN, detail="the schema can't be looked up")


class SourceRechecker(Rechecker):
    """Tries dead letters that go back to their source topic, where our rules do not apply."""

    def _repaired(self, dead_letter: DeadLetter, now: int) -> bytes | None:
        del now
        return self._repair.apply(dead_letter)

    def _outputs(
        self, dead_letter: DeadLetter, now: int, value: bytes | None
    ) -> tuple[Output, ...]:
        """The original record, without the headers that the other system added."""
        record, source = dead_letter.record, dead_letter.source
        partition = source.partition if source else record.partition
        time = dead_letter.source_timestamp or dead_letter.failed_at or now
        headers = sent_headers(dead_letter, value)
        return (Output(Role.ENRICHED, value, record.key, headers, time, partition),)


def _result(
    dead_letter: DeadLetter, outputs: tuple[Output, ...], value: bytes | None
) -> RecheckResult:
    rejected = [output for output in outputs if output.role is Role.DEAD_LETTER]
    if rejected:
        reason = rejected[0].reason
        kind = RecheckKind.SAME if reason == dead_letter.reason else RecheckKind.OTHER
        return RecheckResult(kind, outputs, value, reason)
    if all(output.role is Role.DROPPED for output in outputs):
        return RecheckResult(RecheckKind.DROPPED, outputs, value)
    return RecheckResult(RecheckKind.PASSES, outputs, value)


class RecheckSample(NamedTuple):
    """One dead letter as an example in a report."""

    position: str
    """`partition/offset` in the dead-letter topic."""
    source: str
    detail: str
    before: bytes | None = None
    """Value of the dead letter as JSON text, where a repair changed it."""
    after: bytes | None = None


@dataclass(slots=True)
class Outcome:
    """Dead letters of one old reason that the current rules would treat alike."""

    count: int = 0
    samples: list[RecheckSample] = field(default_factory=list)
    """The first ones; those that the repair changed take precedence."""

    def keep(self, sample: RecheckSample) -> None:
        """Keep a sample while there is room for it."""
        if len(self.samples) == _SAMPLES:
            same = [number for number, each in enumerate(self.samples) if each.after is None]
            if not same:
                return
            del self.samples[same[-1]]
        self.samples.append(sample)


class RecheckReport:
    """Results for many dead letters, counted by old reason and kind."""

    def __init__(self) -> None:
        self.outcomes: defaultdict[tuple[str, RecheckKind, str], Outcome] = defaultdict(Outcome)
        """(old reason, kind, new reason or empty) → count and samples.

        There are at most as many old reasons as `ReasonCounts` tells apart.
        """
        self._reasons = ReasonCounts()
        self.changed = 0
        """Number of dead letters that the repair changed."""
        self.coverage = Coverage()

    def add(self, dead_letter: DeadLetter, result: RecheckResult) -> None:
        """Count the result of one dead letter."""
        new = result.detail if result.kind is RecheckKind.OTHER else ""
        outcome = self.outcomes[self._reasons.add(dead_letter.reason), result.kind, new]
        outcome.count += 1
        changed = result.value is not None and result.value != dead_letter.value
        self.changed += changed
        if changed or len(outcome.samples) < _SAMPLES:
            source = dead_letter.source.text() if dead_letter.source else ""
            values = (dead_letter.text, result.value) if changed else (None, None)
            outcome.keep(RecheckSample(dead_letter.position, source, result.detail, *values))

    def total(self, kind: RecheckKind | None = None) -> int:
        """Number of dead letters of a kind; None counts all."""
        return sum(
            outcome.count for (_, each, _), outcome in self.outcomes.items() if kind in {None, each}
        )

    @property
    def failing(self) -> int:
        """Number of dead letters that would still fail."""
        return sum(self.total(kind) for kind in FAILING)


def recheck(
    request: DlqRequest,
    repair: Repair | None = None,
    *,
    on_progress: OnProgress | None = None,
    on_notice: OnNotice = ignore_notice,
) -> RecheckReport:
    """Run the selected dead letters through the current rules; see `open_reader` for errors."""
    reader = open_reader(request, on_notice)
    rechecker = Rechecker(make_reprocessor(request.settings), repair or no_repair())
    report, now = RecheckReport(), WallClock().now()
    try:
        for dead_letter in reader.dead_letters(on_progress):
            report.add(dead_letter, rechecker.recheck(dead_letter, now))
    finally:
        rechecker.end()
    report.coverage = reader.coverage
    return report
