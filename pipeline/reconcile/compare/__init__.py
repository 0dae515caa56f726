"""What would be different under other rules? Start reading in `comparison.py`.

`compare(settings, request)` processes raw records under the settings given and compares the results
with existing outputs: event by event, with the fields and the revenue that differ. A correction run
writes only such differences (`corrections.py`). May import what `pipeline.reconcile` may.
"""

from pipeline.reconcile.compare.classify import DifferenceKind
from pipeline.reconcile.compare.difference_store import DifferenceStore
from pipeline.reconcile.compare.report import EXCLUDED, ComparisonReport
from pipeline.reconcile.compare.request import CompareRequest
from pipeline.reconcile.compare.run import CompareResult, compare, make_dry_run

__all__ = [
    "EXCLUDED",
    "CompareRequest",
    "CompareResult",
    "ComparisonReport",
    "DifferenceKind",
    "DifferenceStore",
    "compare",
    "make_dry_run",
]
