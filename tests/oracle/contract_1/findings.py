"""Violations and warnings of one event."""

from __future__ import annotations

from collections.abc import Sequence

from tests.oracle.contract_1.policy import Policy
from tests.oracle.contract_1.reasons import Reason, Violation, WarningCode


class Findings:
    """Violations and warnings in the order of the rules.

    Most events have none, so no list is made before the first one.
    """

    violations: Sequence[Violation] = ()
    warnings: Sequence[str] = ()

    def warn(self, code: WarningCode, pointer: str) -> None:
        """Add a warning: something was changed, removed or looks wrong."""
        self.warnings = [*self.warnings, f"{code.value} {pointer}"]

    def reject(self, code: Reason, pointer: str, detail: str) -> None:
        """Add a violation: the event becomes a dead letter."""
        self.violations = [*self.violations, Violation(code, pointer, detail)]

    def reject_or_warn(self, code: Reason, pointer: str, detail: str, policy: Policy) -> None:
        """Add a violation or a warning, depending on the severity of `rules.<code>`."""
        if code in policy.warns:
            self.warn(WarningCode(code.value), pointer)
        else:
            self.reject(code, pointer, detail)
