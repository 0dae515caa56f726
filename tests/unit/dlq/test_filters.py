"""Filters of dead letters."""

from __future__ import annotations

import pytest

from pipeline.dlq.filters import Selection
from tests.unit.dlq.dead_letters import dead_letter_of, event


@pytest.mark.parametrize("name", ["analytics-ios", "@segment/analytics-node"])
def test_library_with_or_without_version(name: str) -> None:
    """A library matches by name, or by name and version; the name may have a slash itself."""
    context = {"library": {"name": name, "version": "4.2"}}
    dead_letter = dead_letter_of(event(userId=None, context=context))
    for wanted, holds in ((name, True), (f"{name}/4.2", True), (f"{name}/4", False)):
        assert Selection(libraries=frozenset({wanted})).matches(dead_letter) == holds
