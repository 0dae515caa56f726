"""Replay a window from Python: plan it, execute it, and read the verification.

    python replay.py [START]

START is a time or an age such as 3d. Settings come from TRACK_… variables.
"""

import os
import sys
import time

from pipeline.errors import TrackError
from pipeline.replay.capture import capture
from pipeline.replay.finish import Interrupted, resume_hint
from pipeline.replay.hooks import ReplayHooks
from pipeline.replay.request import ReplayRequest
from pipeline.replay.runner import begin, execute
from pipeline.replay.window_offsets import EARLIEST, read_bound
from pipeline.settings.model import load_settings

try:
    start = read_bound([*sys.argv[1:], "3d"][0], EARLIEST, int(time.time() * 1000))
except ValueError as error:
    sys.exit(f"START: {error}")
try:
    # A plan is fixed: records that arrive later are not part of it. So far nothing is written.
    request = ReplayRequest(load_settings(None, {}, os.environ), start)
    preview = capture(request)
    print(preview.plan.offsets, "offsets to", *(e.topic for e in preview.plan.outputs.values()))
    sys.stderr.writelines(f"{warning}\n" for warning in preview.warnings)
    # Creates the topics, stores the plan, and replays. Another thread reports the status.
    hooks = ReplayHooks(on_status=lambda status: print(status.done, "done", file=sys.stderr))
    run = begin(request, preview, hooks)
    result = execute(run)
except TrackError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)

if isinstance(result, Interrupted):
    sys.exit(resume_hint(run.plan))
counts = result.status.totals
print(f"{counts.enriched} enriched, {counts.rejected} dead letters", dict(counts.dead_letters))
# Every source once, and nothing else: the outputs were read back and compared with the counts.
print("verified:", result.verification.ok, *result.verification.problems)
sys.exit(0 if result.verification.ok else 1)
