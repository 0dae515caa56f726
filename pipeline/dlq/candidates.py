"""Decides which dead letters are sent again, and why others are not.

The plan and the redrive itself use the same decisions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pipeline.core.headers import DlqHeader
from pipeline.core.record import Output, Role
from pipeline.dlq.dead_letter import TRACK, DeadLetter
from pipeline.dlq.ledger import Ledger, fingerprint
from pipeline.dlq.reason_counts import ReasonCounts
from pipeline.dlq.recheck import CRASH, Rechecker, RecheckKind, RecheckResult
from pipeline.reconcile.revenue import Sums
from pipeline.reconcile.revenue_reader import RevenueReader

_SAMPLES: Final = 3
_NOT_TRIED: Final = frozenset({RecheckKind.REPAIR_FAILED, RecheckKind.POINTER, RecheckKind.CRASHES})


class RedriveRules(NamedTuple):
    """Conditions that a dead letter must meet to be sent."""

    target: str
    """Topic that the events are sent to."""
    replay: str = ""
    """Id of the replay that the dead letters must be of; empty if they must be of none."""
    max_attempts: int | None = None
    """Dead letters that failed this often, or more often, are left out."""
    crashes: bool = False
    """Whether dead letters that killed a process or met a bug are included."""
    source: str = ""
    """Topic that dead letters of other systems must have come from; empty for any."""
    foreign_only: bool = False
    """Whether only dead letters of other systems that name their topic are sent."""


class Candidate(NamedTuple):
    """One dead letter, and the decision about it."""

    dead_letter: DeadLetter
    result: RecheckResult
    skip_reason: str
    """Why it is not sent; empty when it is sent."""

    @property
    def source(self) -> str:
        """Coordinates of the raw event; empty when they are not stated."""
        source = self.dead_letter.source
        return source.text() if source else ""


class RedriveSelector:
    """Decides one by one; of several dead letters of one event it selects only the first."""

    def __init__(self, rechecker: Rechecker, rules: RedriveRules, ledger: Ledger) -> None:
        self._rechecker = rechecker
        self._rules = rules
        self._ledger = ledger
        self._selected: set[bytes] = set()

    def select(self, dead_letters: Iterable[DeadLetter], now: int) -> Iterator[Candidate]:
        """Decide about each dead letter; `now` is in epoch milliseconds."""
        for dead_letter in dead_letters:
            skip_reason = self._before(dead_letter)
            if skip_reason:
                yield Candidate(dead_letter, RecheckResult(RecheckKind.LEFT_OUT), skip_reason)
                continue
            result = self._rechecker.recheck(dead_letter, now)
            candidate = Candidate(dead_letter, result, _after(result))
            if not candidate.skip_reason:
                self._selected.add(self._event(dead_letter))
            yield candidate

    def _before(self, dead_letter: DeadLetter) -> str:
        rules = self._rules
        done = self._ledger.action(dead_letter.partition, dead_letter.offset)
        if done is not None:
            return f"already {done}"
        replay = dead_letter.header(DlqHeader.REPLAY)
        if replay != rules.replay:
            return f"of replay {replay}, which --replay names" if replay else "of no replay"
        if dead_letter.stage == CRASH and not rules.crashes:
            return "stage crash, which --stage crash names"
        if rules.max_attempts is not None and dead_letter.attempt >= rules.max_attempts:
            return f"failed {rules.max_attempts} times or more"
        source = dead_letter.source
        if self._event(dead_letter) in self._selected or (
            source is not None
            and self._ledger.was_sent(source.text(), dead_letter.source_timestamp, rules.target)
        ):
            return "already sent by another dead letter of the event"
        return self._of_another_topic(dead_letter)

    def _of_another_topic(self, dead_letter: DeadLetter) -> str:
        """Why a dead letter must not be sent to the target; empty if it may."""
        rules = self._rules
        if dead_letter.header_format == TRACK:
            if rules.foreign_only:
                return "written by track-pipeline: --to enriched and --to raw send it"
            return ""
        if dead_letter.source is None:
            return "does not name the topic it came from" if rules.foreign_only else ""
        if dead_letter.source.topic == rules.source or not rules.source:
            return ""
        return f"of topic {dead_letter.source.topic}, not {rules.source}: --to source sends it back"

    def _event(self, dead_letter: DeadLetter) -> bytes:
        """Fingerprint of the event; a dead letter without coordinates is an event by itself."""
        stated = dead_letter.source
        source = stated.text() if stated else f"dead letter {dead_letter.position}"
        return fingerprint(source, dead_letter.source_timestamp, self._rules.target)


def _after(result: RecheckResult) -> str:
    if result.kind is RecheckKind.PASSES:
        return ""
    if result.kind in {RecheckKind.SAME, RecheckKind.OTHER}:
        return f"still fails: {result.detail}"
    return result.kind.value


@dataclass
class RedrivePlan:
    """What a redrive would do."""

    send: int = 0
    """Number of dead letters that would be sent."""
    outputs: Counter[Role] = field(default_factory=Counter)
    """Number of records that would be written for them, by role."""
    not_sent: ReasonCounts = field(default_factory=ReasonCounts)
    """Number of dead letters that would not be sent, by the reason."""
    failing: int = 0
    """Number of those that fail again, which can be reinserted."""
    revenue: Sums = field(default_factory=Sums)
    """Revenue of the events that would be sent."""
    samples: list[Candidate] = field(default_factory=list)
    """The first ones that would be sent."""
    errors: list[str] = field(default_factory=list)
    """Sentences about some of those that could not even be tried."""
    took_s: float = 0.0
    """Seconds that it took to make the plan."""

    def add(self, candidate: Candidate, revenue_reader: RevenueReader) -> None:
        """Count the decision about one dead letter."""
        if candidate.skip_reason:
            self.not_sent.add(candidate.skip_reason)
            self.failing += fails_again(candidate)
            if candidate.result.kind in _NOT_TRIED and len(self.errors) < _SAMPLES:
                self.errors.append(candidate.result.detail)
            return
        self.send += 1
        for output in candidate.result.outputs:
            self.outputs[output.role] += 1
            if output.role is Role.ENRICHED:
                self.revenue.add(revenue_reader.of_enriched(output.value))
        if len(self.samples) < _SAMPLES:
            self.samples.append(candidate)


def fails_again(candidate: Candidate) -> bool:
    """Whether the rules reject the event again, so there is a new dead letter for it."""
    return candidate.result.kind in {RecheckKind.SAME, RecheckKind.OTHER}


def as_raw_output(
    candidate: Candidate, record_headers: Iterable[tuple[str, bytes | None]]
) -> Output:
    """The raw record once more, for the raw topic, with the headers that name its origin."""
    dead_letter, value = candidate.dead_letter, candidate.result.value
    source = dead_letter.source
    partition = source.partition if source else dead_letter.partition
    return Output(
        Role.ENRICHED,
        value,
        dead_letter.record.key,
        list(record_headers),
        candidate.result.outputs[0].timestamp,
        partition,
    )
