"""An empty id, as a script passes it whose variable is not set."""

from __future__ import annotations

import pytest

from pipeline.errors import ExitCode
from tests.unit.cli.program import run


@pytest.mark.parametrize(
    "arguments", [("status", ""), ("cancel", " "), ("delete", ""), ("--resume", "")]
)
def test_empty_id_is_called_empty(arguments: tuple[str, ...]) -> None:
    """One sentence says so, and Kafka is not asked."""
    ran = run("replay", *arguments, "--bootstrap-servers", "127.0.0.1:1")
    assert ran.code == ExitCode.USAGE
    assert "empty" in ran.err.splitlines()[-1]
    assert "id" in ran.err.splitlines()[-1]
    assert ran.out == b""
