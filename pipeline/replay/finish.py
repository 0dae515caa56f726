"""The end of a replay: whether it is done, and whether the topics hold just what it says."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.replay.plan import ReplayPlan, State
from pipeline.replay.plan_store import PlanStore
from pipeline.replay.run import ReplayRun
from pipeline.replay.status import ReplayStatus, StatusReader
from pipeline.replay.verification import Verification, compare_counts, noting, read_back
from pipeline.wiring import range_reader
from pipeline.worker.restart_policy import SupervisorResult


@dataclass(frozen=True)
class ReplayResult:
    """A replay that has come to its end."""

    status: ReplayStatus
    verification: Verification

    @property
    def has_too_many_invalid(self) -> bool:
        """Whether more events are invalid than the plan allows.

        Of several workers only all together show the share; by then everything is written.
        """
        totals = self.status.totals
        return totals.rejected > totals.events * self.status.plan.max_invalid_ratio


@dataclass(frozen=True)
class Interrupted:
    """A replay that has not come to its end; what it has committed stays."""

    status: ReplayStatus | None
    """How far it is; None when workers failed, since Kafka may not answer."""
    failure: SupervisorResult | None = None
    """How the first worker failed; None when none did."""
    ended_early: bool = False
    """Whether its work ended before its end though nobody has stopped it and no worker failed."""


def finish(run: ReplayRun, *, stopped: bool) -> ReplayResult | Interrupted:
    """Verify a replay whose work is done, and write down that it is finished."""
    plan = run.plan
    status = StatusReader(run.settings, plan, stable=True).read()
    if not status.is_finished:
        return Interrupted(status, ended_early=not stopped)
    verification = verify(run, status)
    PlanStore(run.settings).note(plan, State.FINISHED)
    return ReplayResult(status, verification)


def verify(run: ReplayRun, status: ReplayStatus) -> Verification:
    """Read the outputs back, and compare them with what was counted.

    Guarantees: every source that was counted has its outputs, each once, and nothing else carries
    the id of this replay. It reads only what is committed, and waits for transactions to end.
    """
    plan, extents, ordered = run.plan, run.output_extents(), run.is_ordered
    with noting(plan, run.spill_dir, ordered=ordered) as noted:
        read = read_back(range_reader(run.settings), plan, extents, ordered=ordered, noted=noted)
    return compare_counts(read, status.totals)


def resume_hint(plan: ReplayPlan) -> str:
    """Say what to do about a replay that has not come to its end."""
    return f"Resume it with `track-pipeline replay --resume {plan.id}`"
