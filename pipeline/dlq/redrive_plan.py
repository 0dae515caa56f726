"""Plans a redrive: which dead letters are sent again, under which rules, and to which topics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

from pipeline.core.headers import VALUE_SCHEMA_ID, TrackHeader
from pipeline.core.record import Headers, Output, Role
from pipeline.dlq.candidates import (
    Candidate,
    RedrivePlan,
    RedriveRules,
    RedriveSelector,
    as_raw_output,
    fails_again,
)
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.execution import MOST, commit_writes, refuse_more_than
from pipeline.dlq.ledger import Action, Entry, Ledger
from pipeline.dlq.live_contract import check_live_contract
from pipeline.dlq.reader import Coverage, DlqReader, open_reader
from pipeline.dlq.recheck import CRASH, Rechecker, SourceRechecker
from pipeline.dlq.redrive import LedgerWrite, WriteResult
from pipeline.dlq.repair import Repair, no_repair
from pipeline.dlq.reprocess import Reprocessor, as_raw, make_reprocessor
from pipeline.dlq.request import DlqRequest, OnNotice, ignore_notice
from pipeline.dlq.source_topic import source_topic
from pipeline.dlq.targets import WriteTargets, find_targets
from pipeline.errors import SettingsError
from pipeline.identity import new_id, whoami
from pipeline.ports import Stop
from pipeline.progress import OnProgress
from pipeline.reconcile.revenue_reader import RevenueReader
from pipeline.settings.model import Settings
from pipeline.topics import REPLAY_INFIX
from pipeline.wiring import WallClock, make_processor, topic_names

ENRICHED, RAW, SOURCE = "enriched", "raw", "source"


@dataclass(frozen=True)
class RedriveOptions:
    """Options of a redrive."""

    repair: Repair = field(default_factory=no_repair)
    to: str = ENRICHED
    """ENRICHED processes them here; RAW and SOURCE send raw records to the raw topic or to the
    topic that dead letters of other systems name."""
    replay: str | None = None
    """Id of the replay that the dead letters are of; None derives it from the topic's name."""
    max_attempts: int | None = None
    """Dead letters that failed this often, or more often, are left out."""
    reinsert_failing: bool = False
    """Whether events that fail again are written as new dead letters, with one more attempt."""
    force: bool = False
    """Whether the rules may differ from those of the live worker."""
    rate: float | None = None
    """Maximum number of dead letters per second."""
    most: int = MOST
    """Maximum number of dead letters that may be sent."""


DeadLetters = Callable[[OnProgress | None], Iterable[DeadLetter]]
"""Gives the selected dead letters: once for the plan, and once more to send them."""


@dataclass(frozen=True)
class RedriveJob:
    """One redrive: `plan` tells what it would do, `execute` does it."""

    settings: Settings
    options: RedriveOptions
    rules: RedriveRules
    targets: WriteTargets
    reader: DlqReader
    dead_letters: DeadLetters
    id: str
    now: int
    """Time of the redrive in epoch milliseconds."""
    note: str
    """Sentence about rules of the live worker that differ or are not known; empty for none."""

    @property
    def coverage(self) -> Coverage:
        """What the last reading of the dead-letter topic covered."""
        return self.reader.coverage

    def plan(self, on_progress: OnProgress | None = None) -> RedrivePlan:
        """Count what would be sent as things are now; nothing is written."""
        plan, revenue_reader = RedrivePlan(), RevenueReader(make_processor(self.settings))
        began = time.monotonic()
        rules = self._reprocessor(writes=False)
        for candidate in self._candidates(rules, self.reader.ledger, on_progress):
            plan.add(candidate, revenue_reader)
        plan.took_s = time.monotonic() - began
        return plan

    def planned(self, plan: RedrivePlan) -> int:
        """Number of dead letters of a plan that something would be written for."""
        return plan.send + (plan.failing if self.options.reinsert_failing else 0)

    def refuse_too_many(self, plan: RedrivePlan) -> None:
        """Raise SettingsError when a plan exceeds the limit of the options."""
        refuse_more_than(self.options.most, self.planned(plan), "sent")

    def execute(
        self,
        plan: RedrivePlan,
        *,
        stop: Stop | None = None,
        result: WriteResult | None = None,
        on_progress: OnProgress | None = None,
    ) -> WriteResult:
        """Send the dead letters; see `commit_writes`. Decisions are made anew, one by one."""
        self.refuse_too_many(plan)
        rules = self._reprocessor(writes=self.options.to == ENRICHED)
        left_out = set() if self.options.reinsert_failing else {Role.DEAD_LETTER}
        return commit_writes(
            self.targets,
            partial(self._writes, rules),
            planned=self.planned(plan),
            written=set(self.targets.outputs) - left_out,
            rate=self.options.rate,
            stop=stop,
            result=result,
            on_progress=on_progress,
        )

    def _candidates(
        self, rules: Reprocessor, ledger: Ledger, on_progress: OnProgress | None = None
    ) -> Iterator[Candidate]:
        """Every selected dead letter, with the decision about it."""
        kind = SourceRechecker if self.options.to == SOURCE else Rechecker
        rechecker = kind(rules, self.options.repair)
        try:
            selector = RedriveSelector(rechecker, self.rules, ledger)
            yield from selector.select(self.dead_letters(on_progress), self.now)
        finally:
            rechecker.end()

    def _reprocessor(self, *, writes: bool) -> Reprocessor:
        """Make the rules; their outputs for dead letters of a replay belong to the replay, too."""
        return make_reprocessor(self.settings, replay=self.rules.replay, writes=writes)

    def _writes(self, rules: Reprocessor, ledger: Ledger) -> Iterator[LedgerWrite]:
        for candidate in self._candidates(rules, ledger):
            if not candidate.skip_reason:
                yield LedgerWrite(self._outputs(candidate), self._entry(candidate, Action.REDRIVEN))
            elif self.options.reinsert_failing and fails_again(candidate):
                outputs = self._rejected_as_it_is(rules, candidate)
                if outputs:
                    yield LedgerWrite(outputs, self._entry(candidate, Action.REINSERTED))

    def _outputs(self, candidate: Candidate) -> list[Output]:
        if self.options.to == RAW:
            record = as_raw(candidate.dead_letter, candidate.result.value, self.id)
            return [as_raw_output(candidate, self._kept(record.headers))]
        if self.options.to == SOURCE:
            outputs = candidate.result.outputs
            return [output._replace(headers=self._kept(output.headers)) for output in outputs]
        return self._linked(candidate)

    def _rejected_as_it_is(self, rules: Reprocessor, candidate: Candidate) -> list[Output]:
        """New dead letter with the value of the old one, since the repair did not help.

        Nothing when the event would pass without the repair.
        """
        dead_letter, result = candidate.dead_letter, candidate.result
        if result.value == dead_letter.value:
            return self._linked(candidate)
        outputs = rules.outputs(dead_letter, self.now, dead_letter.value)
        if any(output.role is not Role.DEAD_LETTER for output in outputs):
            return []
        return self._linked(candidate._replace(result=result._replace(outputs=outputs)))

    def _linked(self, candidate: Candidate) -> list[Output]:
        """Outputs of the rules, with headers that lead back to the dead letter."""
        position = f"{self.targets.topic}/{candidate.dead_letter.position}"
        links = [
            (TrackHeader.REDRIVE, self.id.encode()),
            (TrackHeader.REDRIVE_DEAD_LETTER, position.encode()),
        ]
        return [
            output._replace(headers=[*self._kept(output.headers), *links])
            for output in candidate.result.outputs
        ]

    def _kept(self, headers: Headers) -> Headers:
        return kept_headers(headers, self.settings.dead_letter.redrive_drop_headers)

    def _entry(self, candidate: Candidate, action: Action) -> Entry:
        dead_letter = candidate.dead_letter
        sent = action is Action.REDRIVEN
        return Entry(
            self.targets.topic_id,
            dead_letter.partition,
            dead_letter.offset,
            action,
            candidate.source,
            dead_letter.source_timestamp,
            whoami(),
            self.now,
            self.id,
            self.rules.target if sent else self.targets.topic,
            self.options.repair.name if sent else "",
        )


def kept_headers(headers: Headers, dropped: Iterable[str]) -> Headers:
    """Headers without those that belong to the first sending, by `redrive_drop_headers`.

    The one that names the schema of the value belongs to the value.
    """
    lower = [name.lower() for name in dropped]
    names = {name for name in lower if not name.endswith("*")}
    starts = tuple(name[:-1] for name in lower if name.endswith("*"))
    return [
        header
        for header in headers
        if header[0] == VALUE_SCHEMA_ID
        or (header[0].lower() not in names and not header[0].lower().startswith(starts))
    ]


def prepare_redrive(
    request: DlqRequest,
    options: RedriveOptions | None = None,
    *,
    on_progress: OnProgress | None = None,
    on_notice: OnNotice = ignore_notice,
) -> RedriveJob:
    """Prepare a redrive of the selected dead letters; nothing is written.

    Raises SettingsError and RefusedError when it can't be done, and TransportError.
    """
    options = options or RedriveOptions()
    reader = open_reader(request, on_notice)
    # Neither our rules nor our worker concern what goes back to another topic.
    note = (
        ""
        if options.to == SOURCE
        else check_live_contract(request.settings, force=options.force, raw=options.to == RAW)
    )
    return job_of(request, options, reader, reader.dead_letters, note, on_progress)


def job_of(  # noqa: PLR0913, PLR0917  what a job is made of
    request: DlqRequest,
    options: RedriveOptions,
    reader: DlqReader,
    dead_letters: DeadLetters,
    note: str,
    on_progress: OnProgress | None = None,
) -> RedriveJob:
    """Make the job for these dead letters; see `prepare_redrive` for errors."""
    settings, topic, to = request.settings, reader.snapshot.topic, options.to
    replay = options.replay
    if replay is None:  # a replay's own topic is named after it
        replay = topic.partition(REPLAY_INFIX)[2]
    if replay and to != ENRICHED:
        problem = f"--to {to}: the live worker would take a replay's events for its own"
        raise SettingsError([f"{problem}: use --to enriched, which is the replay's output"])
    if to == SOURCE:  # takes the place of the raw topic, so that partitions are its own
        name = source_topic(reader, settings.topics, on_progress)
        topics = settings.topics.model_copy(update={"raw": name})
        settings = settings.model_copy(update={"topics": topics})
    outputs = {
        **_outputs(settings, to, f"{REPLAY_INFIX}{replay}" if replay else ""),
        Role.DEAD_LETTER: topic,
    }
    if topic in {name for role, name in outputs.items() if role is not Role.DEAD_LETTER}:
        raise SettingsError([f"--topic: {topic} is where dead letters would be sent to"])
    now = WallClock().now()
    rules = RedriveRules(
        outputs[Role.ENRICHED],
        replay,
        options.max_attempts,
        CRASH in request.selection.stages,
        settings.topics.raw,
        foreign_only=to == SOURCE,
    )
    targets = find_targets(settings, reader.snapshot, outputs)
    id_ = new_id("redrive", now)
    return RedriveJob(settings, options, rules, targets, reader, dead_letters, id_, now, note)


def _outputs(settings: Settings, to: str, suffix: str) -> dict[Role, str]:
    """Topics of all outputs but the dead letters."""
    if to != ENRICHED:
        return {Role.ENRICHED: settings.topics.raw}
    return {role: name + suffix for role, name in topic_names(settings).outputs(settings).items()}
