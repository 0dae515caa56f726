"""Reads, sums up, rechecks, repairs and redrives dead letters; a ledger says what was done.

Every operation takes a `DlqRequest` and returns a value; progress and notices are handed to
callbacks. It may import everything but `replay`, `demo` and `cli`, and never prints or exits.

| operation | function | returns |
|---|---|---|
| read and list | `open_reader` | `DlqReader` |
| count in groups | `summarize` | `SummaryResult` |
| find what they have in common | `contrast_with_baseline` | `ContrastReport` |
| try the current rules | `recheck` | `RecheckReport` |
| send again | `prepare_redrive`, `prepare_import` | `RedriveJob`: `plan`, `execute` |
| mark as resolved, undo it | `prepare_discard`, `prepare_restore` | `MarkJob`: `plan`, `execute` |
| write as NDJSON | `export` | `ExportResult` |
| what was done, by whom | `history` | runs with their counts |
| follow what is unresolved | `follow_backlog` | `BacklogFollower`: `look` returns a `Backlog` |
"""

from pipeline.core.dead_letter_fields import Problem
from pipeline.dlq.backlog import Backlog, BacklogFollower, follow_backlog
from pipeline.dlq.contrast_report import ContrastReport, contrast_with_baseline
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.export import ExportResult, export
from pipeline.dlq.filters import Selection
from pipeline.dlq.header_formats import read_dead_letter
from pipeline.dlq.history import LedgerRun, history
from pipeline.dlq.import_file import prepare_import
from pipeline.dlq.marking import MarkJob, MarkOptions, prepare_discard, prepare_restore
from pipeline.dlq.reader import Coverage, DlqReader, open_reader
from pipeline.dlq.recheck import RecheckKind, RecheckReport, RecheckResult, recheck
from pipeline.dlq.redrive import WriteResult
from pipeline.dlq.redrive_plan import RedriveJob, RedriveOptions, prepare_redrive
from pipeline.dlq.repair import EventRepair, Repair, no_repair
from pipeline.dlq.request import DlqRequest
from pipeline.dlq.summary import SummaryResult, summarize
from pipeline.dlq.transform_file import load_transform

__all__ = [
    "Backlog",
    "BacklogFollower",
    "ContrastReport",
    "Coverage",
    "DeadLetter",
    "DlqReader",
    "DlqRequest",
    "EventRepair",
    "ExportResult",
    "LedgerRun",
    "MarkJob",
    "MarkOptions",
    "Problem",
    "RecheckKind",
    "RecheckReport",
    "RecheckResult",
    "RedriveJob",
    "RedriveOptions",
    "Repair",
    "Selection",
    "SummaryResult",
    "WriteResult",
    "contrast_with_baseline",
    "export",
    "follow_backlog",
    "history",
    "load_transform",
    "no_repair",
    "open_reader",
    "prepare_discard",
    "prepare_import",
    "prepare_redrive",
    "prepare_restore",
    "read_dead_letter",
    "recheck",
    "summarize",
]
