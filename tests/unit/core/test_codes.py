"""Every reason and warning code is met by a test, and none is met that does not exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.core.reasons import Reason
from pipeline.core.reasons import WarningCode as Noticed
from tests.framed_hostile import FRAMED_HOSTILE
from tests.hostile import HOSTILE, UNDER_LIMITS
from tests.unit.core.values import ROWS

TESTS = Path(__file__).parent
WRITTEN = "".join(path.read_text(encoding="utf-8") for path in TESTS.glob("*.py"))
TABLES = (*HOSTILE, *UNDER_LIMITS, *FRAMED_HOSTILE)
REJECTED = {outcome for row in TABLES for outcome in row.outcomes}
REJECTED |= {violation.split()[0] for row in ROWS for violation in row.rejected}
WARNED = {warning.split()[0] for row in ROWS for warning in row.warnings}


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_expected_somewhere(reason: Reason) -> None:
    """A reason without a test could break unseen."""
    assert reason.value in REJECTED or f'"{reason.value}' in WRITTEN
    assert reason.meaning


@pytest.mark.parametrize("warning", Noticed)
def test_every_warning_is_expected_somewhere(warning: Noticed) -> None:
    """A warning without a test could break unseen."""
    assert (
        warning.value in WARNED
        or f'"{warning.value} ' in WRITTEN
        or f'"{warning.value}"' in WRITTEN
    )
    assert warning.meaning


def test_no_unknown_code_is_expected() -> None:
    """The tables name only codes that exist."""
    assert (REJECTED - {"enriched"}).issubset(reason.value for reason in Reason)
    assert WARNED.issubset(warning.value for warning in Noticed)
