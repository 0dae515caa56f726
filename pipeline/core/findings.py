"""What the rules found on one event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.core.policy import Policy
from pipeline.core.reasons import Reason, Violation, WarningCode

JsonObject = dict[str, Any]


class Findings:
    """What the rules found, in order. Most events have nothing, so nothing is made for them."""

    violations: Sequence[Violation] = ()
    warnings: Sequence[str] = ()

    def warn(self, code: WarningCode, pointer: str) -> None:
        """Note something that was changed, left out or looks wrong."""
        self.warnings = [*self.warnings, f"{code.value} {pointer}"]

    def reject(self, code: Reason, pointer: str, detail: str) -> None:
        """Note a broken rule; the event becomes a dead letter."""
        self.violations = [*self.violations, Violation(code, pointer, detail)]

    def reject_or_warn(self, code: Reason, pointer: str, detail: str, policy: Policy) -> None:
        """Refuse or warn, as `rules.<code>` says."""
        if code in policy.warns:
            self.warn(WarningCode(code.value), pointer)
        else:
            self.reject(code, pointer, detail)
