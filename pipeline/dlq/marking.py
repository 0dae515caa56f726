"""Discards dead letters and restores them: marks in the ledger, without sending anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from pipeline.core.record import Role
from pipeline.dlq.blocked_revenue import BlockedRevenue
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.execution import MOST, commit_writes, refuse_more_than
from pipeline.dlq.ledger import Action, Entry, Ledger, discarded_by
from pipeline.dlq.ledger_topic import entries_of
from pipeline.dlq.reader import Coverage, DlqReader, open_reader
from pipeline.dlq.reason_counts import ReasonCounts
from pipeline.dlq.redrive import LedgerWrite, WriteResult
from pipeline.dlq.request import DlqRequest, OnNotice, ignore_notice
from pipeline.dlq.targets import WriteTargets, find_targets
from pipeline.errors import SettingsError
from pipeline.identity import new_id, whoami
from pipeline.ports import Stop
from pipeline.progress import OnProgress
from pipeline.wiring import WallClock


@dataclass(frozen=True)
class MarkOptions:
    """Options of a discard or restore."""

    because: str = ""
    """Reason that the history shows; a discard needs one."""
    everything: bool = False
    """Whether it is intended that no filter is given."""
    most: int = MOST
    """Maximum number of dead letters that may be marked."""


@dataclass
class MarkPlan:
    """What a discard or restore would mark."""

    reasons: ReasonCounts
    revenue: BlockedRevenue

    @property
    def count(self) -> int:
        """Number of dead letters."""
        return self.reasons.total()


@dataclass(frozen=True)
class MarkJob:
    """One discard or restore: `plan` tells what it would mark, `execute` marks it."""

    request: DlqRequest
    options: MarkOptions
    action: Action
    is_selected: Callable[[DeadLetter], bool]
    """Whether a dead letter can be marked, by the ledger as it was at the start."""
    reader: DlqReader
    targets: WriteTargets
    id: str
    now: int
    """Time of the run in epoch milliseconds."""

    @property
    def coverage(self) -> Coverage:
        """What the last reading of the dead-letter topic covered."""
        return self.reader.coverage

    def plan(self, on_progress: OnProgress | None = None) -> MarkPlan:
        """Count what would be marked as things are now; nothing is written."""
        plan = MarkPlan(ReasonCounts(), BlockedRevenue(self.request.settings))
        for dead_letter in self._dead_letters(on_progress):
            plan.reasons.add(dead_letter.reason)
            plan.revenue.add(dead_letter)
        return plan

    def refuse_too_many(self, plan: MarkPlan) -> None:
        """Raise SettingsError when a plan exceeds the limit of the options."""
        refuse_more_than(self.options.most, plan.count, self.action.value)

    def execute(
        self,
        plan: MarkPlan,
        *,
        stop: Stop | None = None,
        result: WriteResult | None = None,
        on_progress: OnProgress | None = None,
    ) -> WriteResult:
        """Mark the dead letters; see `commit_writes`."""
        self.refuse_too_many(plan)
        return commit_writes(
            self.targets,
            self._writes,
            planned=plan.count,
            written=(),
            stop=stop,
            result=result,
            on_progress=on_progress,
        )

    def _dead_letters(self, on_progress: OnProgress | None = None) -> Iterator[DeadLetter]:
        selected = filter(self.is_selected, self.reader.dead_letters(on_progress))
        return islice(selected, self.request.selection.limit)

    def _writes(self, _: Ledger) -> Iterator[LedgerWrite]:
        who = whoami()
        for dead_letter in self._dead_letters():
            entry = Entry(
                self.targets.topic_id,
                dead_letter.partition,
                dead_letter.offset,
                self.action,
                dead_letter.source.text() if dead_letter.source else "",
                dead_letter.source_timestamp,
                who,
                self.now,
                self.id,
                because=self.options.because,
            )
            yield LedgerWrite((), entry)


def prepare_discard(
    request: DlqRequest, options: MarkOptions, *, on_notice: OnNotice = ignore_notice
) -> MarkJob:
    """Prepare to mark dead letters as resolved, so that they are left out from then on.

    Raises SettingsError without a filter, RefusedError when it can't be done, and TransportError.
    """
    reader = _open(request, on_notice)
    _refuse_without_a_filter(request, options)
    ledger = reader.ledger

    def is_pending(dead_letter: DeadLetter) -> bool:
        return ledger.action(dead_letter.partition, dead_letter.offset) is None

    return _job(request, options, "discard", Action.DISCARDED, is_pending, reader)


def prepare_restore(
    request: DlqRequest,
    options: MarkOptions,
    discard_id: str | None = None,
    *,
    on_notice: OnNotice = ignore_notice,
) -> MarkJob:
    """Prepare to make discarded dead letters pending again, or only those of one discard.

    Raises SettingsError without a filter or for an unknown id, RefusedError when it can't be done,
    and TransportError.
    """
    request = replace(request, include_done=True)
    reader = _open(request, on_notice)
    discarded = reader.ledger
    if discard_id is None:
        _refuse_without_a_filter(request, options)
    else:
        discarded = _discarded_by(request, reader, discard_id)

    def is_discarded(dead_letter: DeadLetter) -> bool:
        action = discarded.action(dead_letter.partition, dead_letter.offset)
        return action is Action.DISCARDED

    return _job(request, options, "restore", Action.RESTORED, is_discarded, reader)


def _open(request: DlqRequest, on_notice: OnNotice) -> DlqReader:
    """Open the topic without the limit, which holds for the dead letters that can be marked."""
    selection = replace(request.selection, limit=None)
    return open_reader(replace(request, selection=selection), on_notice)


def _refuse_without_a_filter(request: DlqRequest, options: MarkOptions) -> None:
    """Raise SettingsError: a filter that was forgotten must not mark a whole topic."""
    selection = request.selection
    if not (options.everything or selection.has_filters or selection.offsets):
        text = (
            f"say which dead letters of {request.dead_letter_topic} by a filter such as --reason, "
            "--since or --offsets, or all of them by --everything"
        )
        raise SettingsError([text])


def _discarded_by(request: DlqRequest, reader: DlqReader, discard_id: str) -> Ledger:
    snapshot = reader.snapshot
    entries = entries_of(request.settings, snapshot.topic)
    found = discarded_by(discard_id, snapshot.topic_id, entries)
    if found.is_empty:
        text = f"the ledger of {snapshot.topic} lists no discard {discard_id}: see dlq history"
        raise SettingsError([f"--id: {text}"])
    return found


def _job(  # noqa: PLR0913, PLR0917  what a job is made of
    request: DlqRequest,
    options: MarkOptions,
    verb: str,
    action: Action,
    is_selected: Callable[[DeadLetter], bool],
    reader: DlqReader,
) -> MarkJob:
    now = WallClock().now()
    outputs = {Role.DEAD_LETTER: reader.snapshot.topic}
    targets = find_targets(request.settings, reader.snapshot, outputs)
    id_ = new_id(verb, now)
    return MarkJob(request, options, action, is_selected, reader, targets, id_, now)
