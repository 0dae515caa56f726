"""The scripts in docs/how-to/python say what is wrong, and show no traceback for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pipeline.errors import ExitCode
from tests.system.docs.snippets import ROOT
from tests.unit.cli.program import TIMEOUT_S, environment

REPLAY = ROOT / "docs" / "how-to" / "python" / "replay.py"


def run_replay(start: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the script that catches errors, without a broker."""
    return subprocess.run(
        [sys.executable, REPLAY, start],
        cwd=folder,
        env=environment() | variables,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def test_a_wrong_time_is_a_sentence(tmp_path: Path) -> None:
    """A start that is no time is named."""
    ran = run_replay("someday", tmp_path)
    assert ran.returncode == 1
    assert ran.stderr.startswith("START: 'someday' is not a valid start")
    assert "Traceback" not in ran.stderr


def test_an_error_ends_the_script_with_its_exit_code(tmp_path: Path) -> None:
    """The exit code of wrong settings is that of the command line."""
    ran = run_replay("3d", tmp_path, TRACK_DELIVERY="sometimes")
    assert ran.returncode == ExitCode.USAGE
    assert "delivery" in ran.stderr
    assert "Traceback" not in ran.stderr
