"""Which letters are sent again, and why others are not; the same for the plan and for the deed."""

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
from pipeline.dlq.recheck import CRASH, Examiner, Kind, Verdict
from pipeline.reconcile.revenue import RevenueReader, Sums

_SAMPLES: Final = 3
_NOT_TRIED: Final = frozenset({Kind.REPAIR_FAILED, Kind.POINTER, Kind.CRASHES})


class Rules(NamedTuple):
    """What may be sent."""

    target: str
    """Topic of the enriched events, or the raw topic."""
    replay: str = ""
    """Id of the replay that the letters must be of; empty: of none."""
    max_attempts: int | None = None
    """Letters that have failed so often, or more often, are left alone."""
    crashes: bool = False
    """Also letters that killed a process or met a bug."""
    source: str = ""
    """Topic that dead letters of other systems must be of, if they say it; empty: any."""
    foreign_only: bool = False
    """Dead letters of other systems only, and only those that say which topic they are of."""


class Candidate(NamedTuple):
    """One letter, and what is to be done with it."""

    letter: DeadLetter
    verdict: Verdict
    why_not: str
    """Why it is not sent; empty when it is."""

    @property
    def source(self) -> str:
        """The raw event; empty when the letter does not say."""
        source = self.letter.source
        return source.text() if source else ""


class Chooser:
    """Decides letter by letter; what it has chosen once for a source it does not choose again."""

    def __init__(self, examiner: Examiner, rules: Rules, ledger: Ledger) -> None:
        self._examiner = examiner
        self._rules = rules
        self._ledger = ledger
        self._chosen: set[bytes] = set()

    def choose(self, letters: Iterable[DeadLetter], now: int) -> Iterator[Candidate]:
        """Each letter with the decision; `now` is in epoch milliseconds."""
        for letter in letters:
            why_not = self._before(letter)
            if why_not:
                yield Candidate(letter, Verdict(Kind.LEFT_OUT), why_not)
                continue
            verdict = self._examiner.examine(letter, now)
            candidate = Candidate(letter, verdict, _after(verdict))
            if not candidate.why_not:
                self._chosen.add(self._event(letter))
            yield candidate

    def _before(self, letter: DeadLetter) -> str:
        rules = self._rules
        done = self._ledger.action(letter.partition, letter.offset)
        if done is not None:
            return f"already {done}"
        replay = letter.said(DlqHeader.REPLAY)
        if replay != rules.replay:
            return f"of replay {replay}, which --replay names" if replay else "of no replay"
        if letter.stage == CRASH and not rules.crashes:
            return "stage crash, which --stage crash names"
        if rules.max_attempts is not None and letter.attempt >= rules.max_attempts:
            return f"failed {rules.max_attempts} times or more"
        source = letter.source
        if self._event(letter) in self._chosen or (
            source is not None
            and self._ledger.was_sent(source.text(), letter.source_timestamp, rules.target)
        ):
            return "already sent by another letter of the event"
        return self._of_another_topic(letter)

    def _of_another_topic(self, letter: DeadLetter) -> str:
        """Why a letter is not sent to where this topic's events go; empty when it is."""
        rules = self._rules
        if letter.dialect == TRACK:
            if rules.foreign_only:
                return "written by track-pipeline: --to enriched and --to raw send it"
            return ""
        if letter.source is None:
            return "does not say which topic it is of" if rules.foreign_only else ""
        if letter.source.topic == rules.source or not rules.source:
            return ""
        return f"of topic {letter.source.topic}, not {rules.source}: --to source sends it back"

    def _event(self, letter: DeadLetter) -> bytes:
        """A letter that does not tell its event is one by itself."""
        source = letter.source.text() if letter.source else f"letter {letter.place}"
        return fingerprint(source, letter.source_timestamp, self._rules.target)


def _after(verdict: Verdict) -> str:
    if verdict.kind is Kind.PASSES:
        return ""
    if verdict.kind in {Kind.SAME, Kind.OTHER}:
        return f"still fails: {verdict.detail}"
    return verdict.kind.value


@dataclass
class Plan:
    """What a redrive would do."""

    send: int = 0
    """Letters."""
    outputs: Counter[Role] = field(default_factory=Counter)
    """Records that would be written for them, by kind."""
    not_sent: ReasonCounts = field(default_factory=ReasonCounts)
    """Why → letters."""
    failing: int = 0
    """Of those not sent: letters that fail again, which can be reinserted."""
    money: Sums = field(default_factory=Sums)
    """Revenue of the events that would be sent."""
    samples: list[Candidate] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    """Of those not sent: what is wrong with some that could not even be tried."""
    took_s: float = 0.0
    """To make it."""

    def add(self, candidate: Candidate, purse: RevenueReader) -> None:
        """Count one in."""
        if candidate.why_not:
            self.not_sent.add(candidate.why_not)
            self.failing += fails_again(candidate)
            if candidate.verdict.kind in _NOT_TRIED and len(self.said) < _SAMPLES:
                self.said.append(candidate.verdict.detail)
            return
        self.send += 1
        for output in candidate.verdict.outputs:
            self.outputs[output.role] += 1
            if output.role is Role.ENRICHED:
                self.money.add(purse.of_enriched(output.value))
        if len(self.samples) < _SAMPLES:
            self.samples.append(candidate)


def fails_again(candidate: Candidate) -> bool:
    """Whether the rules refuse it, so that there is a new letter for it."""
    return candidate.verdict.kind in {Kind.SAME, Kind.OTHER}


def as_raw_output(
    candidate: Candidate, record_headers: Iterable[tuple[str, bytes | None]]
) -> Output:
    """For the raw topic: the raw record again, with the headers that name its origin."""
    letter, value = candidate.letter, candidate.verdict.value
    source = letter.source
    partition = source.partition if source else letter.partition
    return Output(
        Role.ENRICHED,
        value,
        letter.record.key,
        list(record_headers),
        candidate.verdict.outputs[0].timestamp,
        partition,
    )
