"""Plans and progress of replays as people read them."""

from __future__ import annotations

import pytest
from rich.progress import Progress

from pipeline.cli.output import error_console
from pipeline.cli.replay.plan_view import print_plan
from pipeline.cli.replay.progress import _Bars
from pipeline.core.counts import OutcomeCounts
from pipeline.replay.capture import CaptureSample, PlanPreview
from pipeline.replay.outputs import OutputTopics
from pipeline.replay.plan import Part
from pipeline.replay.status import ReplayStatus
from tests.unit.cli.terminal import as_terminal
from tests.unit.replay.plans import plan_of

PLAN = plan_of(Part(0, 5, 1_000_005), Part(1, 7, 9))
SAMPLE = CaptureSample(1_795_000_000_000, 1_795_000_001_000, 20.0)


@pytest.mark.parametrize(("width", "is_shown"), [(120, True), (50, False)])
def test_bytes_are_explained_where_they_are_shown(
    monkeypatch: pytest.MonkeyPatch,
    width: int,
    is_shown: bool,  # noqa: FBT001  a parameter
) -> None:
    """A note about a column that does not fit would confuse."""
    terminal = as_terminal(monkeypatch, width)
    samples = {0: SAMPLE, 1: SAMPLE}
    preview = PlanPreview(PLAN, samples, OutputTopics({}, (), (), {}), {}, (), (), 1)
    print_plan(preview, as_json=False, executed=False)
    lines = terminal.lines()
    assert ("bytes (about)" in lines[1]) == is_shown
    assert any(line.startswith("bytes are estimated") for line in lines) == is_shown


def test_bars_name_the_replay_and_partitions_that_have_not_started() -> None:
    """The first bar is that of the whole replay; a partition without an offset is not at one."""
    console = error_console()
    progress = Progress(console=console)
    status = ReplayStatus(PLAN, {0: 105}, {0: OutcomeCounts(enriched=100)}, None)
    _Bars(progress, console).show(status)
    assert [task.description for task in progress.tasks] == [
        "replay: 100 of 1,000,002 offsets\n0 dead letters",
        "partition 0, at 105",
        "partition 1, not started",
    ]
