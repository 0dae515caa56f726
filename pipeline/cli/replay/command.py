"""`track-pipeline replay`: says what it would do, and with `--execute` does it."""

from __future__ import annotations

from pipeline.cli.progress import shown_progress
from pipeline.cli.replay.options import Invocation
from pipeline.cli.replay.plan_view import print_plan
from pipeline.cli.replay.progress import shown_replay
from pipeline.cli.replay.result import end_with
from pipeline.replay.capture import PlanPreview, capture
from pipeline.replay.output_selection import preview_correction
from pipeline.replay.processes import run_slot
from pipeline.replay.resume import resume
from pipeline.replay.runner import begin, execute
from pipeline.settings.model import Settings
from pipeline.worker.memory_tuning import tune_memory
from pipeline.worker.observe import configure_logging
from pipeline.worker.processes import InheritedHandles


def plan_or_replay(invocation: Invocation) -> None:
    """Print a plan, execute it, or go on with one."""
    request, id_ = invocation.request, invocation.resume
    preview = None if id_ is not None else _shown_plan(invocation)
    if id_ is None and not invocation.execute:
        return
    configure_logging(request.settings.log.format, request.settings.log.level)
    with shown_replay() as hooks:
        if preview is not None:
            run = begin(request, preview, hooks)
            hooks.on_notice(f"replay {run.plan.id} begins")
        else:
            run = resume(request, id_ or "", hooks, force=invocation.force)
        tune_memory()
        outcome = execute(run)
    end_with(outcome, run.plan, as_json=invocation.as_json)


def _shown_plan(invocation: Invocation) -> PlanPreview:
    request = invocation.request
    with shown_progress() as on_progress:
        preview = capture(request, on_progress)
        if request.only and not invocation.execute:
            preview = preview_correction(request, preview, on_progress)
    print_plan(preview, as_json=invocation.as_json, executed=invocation.execute)
    return preview


def run_as_slot(settings: Settings, place: InheritedHandles) -> None:
    """Work on one slot of a replay, for the process that has started this one."""
    configure_logging(settings.log.format, settings.log.level)
    tune_memory()
    run_slot(settings, place)
