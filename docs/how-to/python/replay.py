"""Replay a window from Python: plan it, execute it, and read the verification.

    python replay.py [START]

START is a time or an age such as 3d. Settings come from TRACK_… variables.
"""

import os
import sys
import time

from pipeline.replay.capture import capture
from pipeline.replay.finish import Interrupted, resume_hint
from pipeline.replay.hooks import ReplayHooks
from pipeline.replay.request import ReplayRequest
from pipeline.replay.runner import begin, execute
from pipeline.replay.window_offsets import EARLIEST, read_bound
from pipeline.settings.model import load_settings

settings = load_settings(None, {}, os.environ)
start = read_bound(sys.argv[1] if len(sys.argv) > 1 else "3d", EARLIEST, int(time.time() * 1000))
request = ReplayRequest(settings, start=start)

# A plan is fixed: records that arrive later are not part of it. So far nothing is written.
preview = capture(request)
print(f"{preview.plan.offsets} offsets to", *(each.topic for each in preview.plan.outputs.values()))
print(*preview.warnings, sep="\n", file=sys.stderr)

# Creates the topics, writes the plan down, and replays. Status reports come from another thread.
hooks = ReplayHooks(on_status=lambda status: print(status.done, "offsets done", file=sys.stderr))
run = begin(request, preview, hooks)
result = execute(run)

if isinstance(result, Interrupted):
    sys.exit(resume_hint(run.plan))
counts = result.status.totals
print(f"{counts.enriched} enriched, {counts.rejected} dead letters", dict(counts.dead_letters))
# Every source once, and nothing else: the outputs were read back and compared with the counts.
print("verified:", result.verification.ok, *result.verification.problems)
sys.exit(0 if result.verification.ok else 1)
