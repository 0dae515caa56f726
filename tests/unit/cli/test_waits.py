"""What a tool waits for is logged below the command line, and printed by it."""

from __future__ import annotations

import logging

import click
import pytest

from pipeline.cli.main import cli
from pipeline.wiring import WAITS, log_wait
from tests.unit.cli.program import run


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """`check` is a command that waits, for a name that could drive a terminal."""

    def wait() -> None:
        log_wait("waiting for \x1b[2Jbroker")

    monkeypatch.setattr(
        type(cli), "get_command", lambda *_: click.Command("check", callback=wait), raising=True
    )


@pytest.mark.usefixtures("waiting")
def test_command_prints_a_wait_behind_the_name_of_the_program() -> None:
    """The sentence is one line on standard error, with escapes, however often commands ran."""
    for _ in range(2):
        ran = run("check")
        assert ran.err == "track-pipeline: waiting for \\u001b[2Jbroker\n"
        assert ran.out == b""


def test_waits_of_tools_called_from_python_are_warnings_of_a_logger(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An application decides with `logging` where the sentences go."""
    monkeypatch.setattr(WAITS, "propagate", True)
    monkeypatch.setattr(WAITS, "handlers", [])
    log_wait("waiting for Kafka")
    assert caplog.record_tuples == [("pipeline.waits", logging.WARNING, "waiting for Kafka")]
