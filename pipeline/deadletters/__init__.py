"""The desk for dead letters: see why, check what would happen now, send again.

`pipeline.commands.dlq.opening.open_desk` opens one on a cluster.
"""

from pipeline.deadletters.again import Again
from pipeline.deadletters.desk import Desk
from pipeline.deadletters.dialects import read_letter
from pipeline.deadletters.letter import DeadLetter, Problem
from pipeline.deadletters.repair import EventRepair, Repair, no_repair
from pipeline.deadletters.selection import Selection
from pipeline.deadletters.transform_file import load_transform
from pipeline.deadletters.whatif import Examiner, Kind, Report, Verdict

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
