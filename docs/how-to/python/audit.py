"""Audit the output topics from Python, without the command line.

    python audit.py [CONFIG]

Settings come from the file CONFIG and from TRACK_… variables, as for `track-pipeline audit`.
"""

import os
import sys
import time
from pathlib import Path

from pipeline.core.time_window import Window
from pipeline.progress import Progress
from pipeline.reconcile.audit import AuditRequest, audit
from pipeline.settings.model import load_settings


def show(step: Progress) -> None:
    """Handle progress as you like: a log line, a metric, a bar."""
    print(f"{step.what}: {step.done} of {step.total} {step.unit}", file=sys.stderr)


config = Path(sys.argv[1]) if len(sys.argv) > 1 else None
settings = load_settings(config, {}, os.environ)

# The raw records of the last week, with their revenue.
week_ago = int((time.time() - 7 * 86_400) * 1000)
result = audit(settings, AuditRequest(Window(start=week_ago), revenue=True), show)

print(f"{result.events} events in {result.records} raw records, ok: {result.ok}")
for found in result.discrepancies:
    print(found.kind, found.source, found.output, found.detail)
if result.revenue is not None:
    for row in result.revenue.totals():
        # Amounts are exact: sent + repaired = delivered + blocked + redriven + difference.
        print(row.place.currency, "sent", row.sent, "delivered", row.delivered, end=" ")
        print("blocked", row.blocked, "redriven", row.redriven, end=" ")
        print("repaired", row.repaired, "difference", row.difference)

# `result.to_dict()` is the document that `track-pipeline audit --json` prints.
sys.exit(0 if result.ok else 1)
