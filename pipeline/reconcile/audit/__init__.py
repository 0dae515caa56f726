"""Do the output topics hold exactly what the rules make of the raw topic? Begin in `audit.py`."""

from pipeline.reconcile.audit.run import (
    APART,
    USUAL,
    AuditOptions,
    AuditResult,
    Kind,
    Offence,
    audit,
)

__all__ = ["APART", "USUAL", "AuditOptions", "AuditResult", "Kind", "Offence", "audit"]
