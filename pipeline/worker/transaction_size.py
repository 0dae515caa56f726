"""How large a transaction may become, and what to try when one has taken too long.

A transaction that the broker has ended for its age, or whose commit did not return in time, is
tried again with half of its records, down to one. What is known about it is kept while sessions
come and go, since such a failure ends the session. Each commit doubles the number again.

One record alone is at fault only if its outputs exceed what a transaction holds. Then it becomes a
dead letter. A smaller one can't be the reason: the machine was paused, or the brokers are
overloaded. Pure: values in, values out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from pipeline.core.reasons import Reason, Stage
from pipeline.core.record import Record
from pipeline.ports import Span
from pipeline.worker.bisection import ForcedOutcome, holds

_UNLIMITED: Final = 2**31
"""Number of records that no batch has."""
_ATTEMPTS: Final = 2
"""How often a record is tried alone: the first failure may be a coincidence."""


class TransactionLimits(NamedTuple):
    """A transaction takes no further record when it has reached one of these."""

    outputs: int
    output_bytes: int
    """Values, keys and headers of the outputs together."""
    seconds: float
    """Time for processing records and sending their outputs."""


class TransactionSize(NamedTuple):
    """What a transaction holds."""

    records: int = 0
    outputs: int = 0
    output_bytes: int = 0

    def exceeds(self, limits: TransactionLimits) -> bool:
        """Return whether it is larger than a transaction of several records can be."""
        return self.outputs > limits.outputs or self.output_bytes > limits.output_bytes

    def __str__(self) -> str:
        """Return the size in words."""
        return (
            f"{_counted(self.outputs, 'output')} ({self.output_bytes / 1e6:,.1f} MB) of "
            f"{_counted(self.records, 'record')}"
        )


class HalvingStep(NamedTuple):
    """What follows from a transaction that took too long."""

    sentence: str
    oversized: Record | None = None
    """Record that is dead-lettered from now on."""
    is_halved: bool = True
    """Whether the next attempt is another one than this."""


class TransactionHalving:
    """Remembers how many records the next transaction may hold, and which are too large alone."""

    def __init__(self, limits: TransactionLimits) -> None:
        self.limits = limits
        self.max_records = _UNLIMITED
        self._failed_alone: Counter[Span] = Counter()

    @property
    def suspects(self) -> Sequence[Span]:
        """Records that get a transaction of their own."""
        return list(self._failed_alone)

    @property
    def oversized(self) -> Mapping[Span, ForcedOutcome]:
        """Records that are dead-lettered, since what is made of them can't be committed."""
        detail = "its outputs could not be committed within transaction_timeout_ms, tried alone"
        outcome = ForcedOutcome(Reason.BATCH_TOO_LARGE, Stage.PRODUCE, detail)
        return {span: outcome for span, failed in self._failed_alone.items() if failed >= _ATTEMPTS}

    def committed(self, records: Sequence[Record]) -> None:
        """Note a commit: the next transaction may be twice as large."""
        self.max_records = min(_UNLIMITED, 2 * self.max_records)
        for span in self.suspects:
            if any(holds(span, record) for record in records):
                del self._failed_alone[span]

    def timed_out(self, size: TransactionSize, first: Record | None) -> HalvingStep:
        """Note a transaction that took too long; `first` is its first record."""
        self.max_records = max(1, size.records // 2)
        if size.records > 1:
            return HalvingStep("it is tried again with half of the records")
        if first is None or not size.exceeds(self.limits):
            return HalvingStep(
                "that is little: was this machine paused, or are the brokers overloaded?",
                is_halved=False,
            )
        span = Span(first.topic, first.partition, first.offset, first.offset)
        self._failed_alone[span] += 1
        place = f"the record {first.topic}/{first.partition}/{first.offset}"
        if self._failed_alone[span] < _ATTEMPTS:
            return HalvingStep(f"{place} is tried alone once more")
        if self._failed_alone[span] > _ATTEMPTS:
            return HalvingStep(f"the dead letter of {place} is tried again", is_halved=False)
        return HalvingStep(f"{place} becomes a dead letter, {Reason.BATCH_TOO_LARGE}", first)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
