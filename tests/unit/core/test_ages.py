"""Ages of records whose timestamps come from clocks that jump."""

from __future__ import annotations

import pytest

from pipeline.core.ages import age_s, retention_left_s

NOW = 1_700_000_000_000


@pytest.mark.parametrize(("timestamp", "age"), [(NOW - 1500, 1.5), (NOW, 0), (NOW + 60_000, 0)])
def test_age_is_never_negative(timestamp: int, age: float) -> None:
    """A record from the future was written just now."""
    assert age_s(timestamp, NOW) == age


@pytest.mark.parametrize(
    ("retention", "left"), [(60_000, 10), (50_000, 0), (1_000, 0), (0, 0), (None, None)]
)
def test_retention_leaves_no_less_than_nothing(retention: int | None, left: float | None) -> None:
    """A record that is overdue may be deleted now; without retention it never is."""
    assert retention_left_s(NOW - 50_000, retention, NOW) == left
