"""Is every raw record accounted for exactly once? Start reading in `recount.py`.

`audit(settings, request)` compares the output topics with what the rules make of the raw topic.
May import what `pipeline.reconcile` may.
"""

from pipeline.reconcile.audit.request import AuditRequest
from pipeline.reconcile.audit.result import EXCLUDED, AuditResult, Discrepancy, DiscrepancyKind
from pipeline.reconcile.audit.run import audit

__all__ = ["EXCLUDED", "AuditRequest", "AuditResult", "Discrepancy", "DiscrepancyKind", "audit"]
