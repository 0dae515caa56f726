"""Sum up, recheck and redrive dead letters from Python, without the command line.

    python dlq.py [CONFIG]

Settings come from the file CONFIG and from TRACK_… variables, as for `track-pipeline dlq`.
"""

import os
import sys
from pathlib import Path
from typing import Any

from pipeline import dlq
from pipeline.settings.model import load_settings

config = Path(sys.argv[1]) if len(sys.argv) > 1 else None
settings = load_settings(config, {}, os.environ)
selection = dlq.Selection(reasons=frozenset({"revenue_invalid"}))
request = dlq.DlqRequest(settings, selection=selection)

# What is wrong, and who sends it? Pass `on_progress` to follow long work.
for group in dlq.summarize(request, by=["library"]).summary.groups():
    print(group.dead_letters, *group.key, "example:", group.sample)


def repair_event(event: dict[str, Any], _: dlq.DeadLetter) -> dict[str, Any] | None:
    """Change a copy of the event; None would leave the dead letter out."""
    revenue = event["properties"]["revenue"]
    if isinstance(revenue, str):
        event["properties"]["revenue"] = revenue.replace(",", ".")
    return event


# Would the repaired events pass now? Nothing is written.
repair = dlq.EventRepair("decimal point", repair_event)
report = dlq.recheck(request, repair)
print(report.total() - report.failing, "of", report.total(), "would pass")

# The plan first, then the redrive: each event is sent once, whatever happens.
job = dlq.prepare_redrive(request, dlq.RedriveOptions(repair, most=100))
plan = job.plan()
print(job.execute(plan).sent, "sent, not sent:", plan.not_sent.to_dict())
