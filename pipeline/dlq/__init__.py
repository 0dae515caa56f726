"""The desk for dead letters: see why, check what would happen now, send again.

`pipeline.dlq.opening.open_desk` opens one on a cluster.
"""

from pipeline.dlq.dead_letter import DeadLetter, Problem
from pipeline.dlq.filters import Selection
from pipeline.dlq.header_formats import read_letter
from pipeline.dlq.reader import Desk
from pipeline.dlq.recheck import Examiner, Kind, Report, Verdict
from pipeline.dlq.repair import EventRepair, Repair, no_repair
from pipeline.dlq.reprocess import Again
from pipeline.dlq.transform_file import load_transform

__all__ = [
    "Again",
    "DeadLetter",
    "Desk",
    "EventRepair",
    "Examiner",
    "Kind",
    "Problem",
    "Repair",
    "Report",
    "Selection",
    "Verdict",
    "load_transform",
    "no_repair",
    "read_letter",
]
