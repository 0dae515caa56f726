"""What a plan says before anybody agrees to it."""

from __future__ import annotations

from collections import Counter

from pipeline.reconcile.compare.report import ComparisonReport
from pipeline.replay.capture import PlanPreview
from pipeline.replay.outputs import OutputTopics
from pipeline.replay.plan import Part
from tests.unit.replay.plans import plan_of


def _preview(report: ComparisonReport | None) -> PlanPreview:
    plan = plan_of(Part(0, 0, 10), only=("changed", "missing"))
    return PlanPreview(plan, {}, OutputTopics({}, (), (), {}), {}, (), (), 1, report=report)


def test_corrections_count_only_what_can_be_written() -> None:
    """A missing dead letter is a difference, but a correction run writes enriched events only."""
    report = ComparisonReport(
        kinds=Counter({"changed": 5, "missing": 4, "newly-valid": 3}),
        reasons=Counter({("missing", "invalid_json"): 3, ("newly-valid", "revenue_invalid"): 3}),
    )
    assert _preview(report).corrections == {"changed": 5, "missing": 1}


def test_plan_without_a_comparison_counts_no_corrections() -> None:
    """A replay that writes everything was compared with nothing."""
    assert _preview(None).corrections == {}
