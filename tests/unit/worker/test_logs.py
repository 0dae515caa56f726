"""Loggers of the worker where nothing is configured, as in a script that calls an operation."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

_SCRIPT: Final = """
from pipeline.worker.observe import LogMeter
meter = LogMeter(60.0)
meter.assigned([0])
meter.bisecting(8, "track.enriched: MSG_SIZE_TOO_LARGE")
"""


def test_unconfigured_logs_leave_standard_output_alone() -> None:
    """Warnings reach standard error, by Python's own rule; what is of no concern is silent."""
    ran = subprocess.run(
        [sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert not ran.stdout
    assert "bisecting" in ran.stderr
    assert "records=8" in ran.stderr
    assert "assigned" not in ran.stderr
