"""Violations and warnings of one event."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.core.policy import Policy
from pipeline.core.reasons import Reason, Violation, WarningCode

MAX_UNREADABLE = 64
"""Number of characters that are kept of a time that can't be read."""


class Findings:
    """Violations and warnings in the order of the rules.

    Most events have none, so no list is made before the first one.
    """

    violations: Sequence[Violation] = ()
    warnings: Sequence[str] = ()
    unreadable: dict[str, str] | None = None
    """Pointer of each time that can't be read → the beginning of its text."""

    def warn(self, code: WarningCode, pointer: str) -> None:
        """Add a warning: something was changed, removed or looks wrong."""
        self.warnings = [*self.warnings, f"{code.value} {pointer}"]

    def warn_of_unreadable(self, pointer: str, text: str) -> None:
        """Add the warning of a time that can't be read, and keep the beginning of its text."""
        self.warn(WarningCode.TIMESTAMP_UNPARSABLE, pointer)
        self.unreadable = {**(self.unreadable or {}), pointer: text[:MAX_UNREADABLE]}

    def reject(self, code: Reason, pointer: str, detail: str) -> None:
        """Add a violation: the event becomes a dead letter."""
        self.violations = [*self.violations, Violation(code, pointer, detail)]

    def reject_or_warn(self, code: Reason, pointer: str, detail: str, policy: Policy) -> None:
        """Add a violation or a warning, depending on the severity of `rules.<code>`."""
        if code in policy.warns:
            self.warn(WarningCode(code.value), pointer)
        else:
            self.reject(code, pointer, detail)
