"""Reasons are counted in bounded memory."""

from __future__ import annotations

from pipeline.dlq.reason_counts import OTHER, ReasonCounts


def test_many_reasons_are_bounded() -> None:
    """The first reasons have a count each, and all others have one together."""
    counts = ReasonCounts(most=2)
    names = [counts.add(reason) for reason in ("a", "b", "c", "a", "d")]
    assert names == ["a", "b", OTHER, "a", OTHER]
    assert counts.to_dict() == {"a": 2, "b": 1, OTHER: 2}
    assert (counts.total(), counts.most_common(1)) == (5, [("a", 2)])
