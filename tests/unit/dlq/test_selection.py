"""Filters of dead letters."""

from __future__ import annotations

import pytest

from pipeline.dlq.filters import Selection
from tests.unit.dlq.letters import event, letter_of


@pytest.mark.parametrize("name", ["analytics-ios", "@segment/analytics-node"])
def test_library(name: str) -> None:
    """By its name, or by name and version; the name may have a slash itself."""
    context = {"library": {"name": name, "version": "4.2"}}
    letter = letter_of(event(userId=None, context=context))
    for wanted, holds in ((name, True), (f"{name}/4.2", True), (f"{name}/4", False)):
        assert Selection(libraries=frozenset({wanted})).holds(letter) == holds
