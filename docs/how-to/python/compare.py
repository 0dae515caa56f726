"""Test changed rules from Python: what would be different from the events that exist?

    python compare.py [CONFIG]

The changed rules, and the connection, come from the file CONFIG and from TRACK_… variables.
"""

import os
import sys
from pathlib import Path

from pipeline.reconcile.compare import CompareRequest, compare
from pipeline.reconcile.event_filters import Filters
from pipeline.settings.model import load_settings

config = Path(sys.argv[1]) if len(sys.argv) > 1 else None
settings = load_settings(config, {}, os.environ)

# Only orders, and at most a million raw records. Without `topics` the live topics are compared;
# nothing is written to any topic.
request = CompareRequest(filters=Filters(events=frozenset({"Order Completed"})), limit=1_000_000)
result = compare(settings, request)

report = result.report
print(f"{result.counts.records} raw records under {result.contract}")
for kind, events in report.kinds.items():
    print(kind, events)
for name, events in report.fields.most_common(10):
    print("differs:", name, events)
for sample in report.samples:
    print(sample.kind, sample.source, sample.output, sample.reason)
    for change in sample.changes:
        print("  ", change.field, change.before, "→", change.after)
for row in report.revenue.totals():
    print(row.currency, "before", row.before, "after", row.after)

# `report.to_dict()` is part of what `track-pipeline replay --dry-run --compare --json` prints.
sys.exit(0 if report.same else 1)
