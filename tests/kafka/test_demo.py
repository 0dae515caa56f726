"""`track-pipeline demo`: what a newcomer sees first."""

from __future__ import annotations

import re
from typing import Final

import pytest

from tests.unit.cli.program import run_process

_PATIENCE_S: Final = 120
"""Longer than a busy machine needs to start Kafka."""


@pytest.mark.kafka
def test_demo_runs_a_real_worker() -> None:
    """The demo has a real Kafka and worker; counts add up, and a pipe gets no terminal codes."""
    ran = run_process("demo", "--records", "300", timeout_s=_PATIENCE_S)
    assert ran.code == 0, ran.err
    out = ran.out.decode()
    assert "\x1b" not in out
    found = re.search(
        r"(\d+) events = (\d+) enriched \+ (\d+) dead letters; 0 missing, 0 duplicated", out
    )
    assert found is not None, out
    events, enriched, dead_letters = map(int, found.groups())
    assert events == enriched + dead_letters
    assert dead_letters
    for title in ("three enriched events", "dead letters by reason", "what to try next"):
        assert title in out
