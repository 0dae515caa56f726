"""The command tree: help without imports, and how every failure ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import click
import pytest

from pipeline import __version__
from pipeline.cli import explain as explain_command
from pipeline.cli.main import COMMANDS, cli
from pipeline.compiled.choice import chosen
from pipeline.errors import (
    DataLossError,
    ExitCode,
    FencedError,
    RefusedError,
    SettingsError,
    TransportError,
)
from tests.unit.cli.program import TIMEOUT_S, environment, run, run_process, started

EVENT = b'{"event":"A","userId":"u"}\n'


def test_help_lists_the_commands_in_order() -> None:
    """Commands are listed in the order in which a newcomer needs them, each with a summary."""
    ran = run("--help")
    commands, _, end = ran.out.decode().partition("Commands:\n")[2].partition("\n\n")
    lines = commands.splitlines()
    assert [line.split()[0] for line in lines] == list(COMMANDS)
    assert all(listed.summary in commands for listed in COMMANDS.values())
    assert "Start with `track-pipeline demo`" in end


def test_version_is_shown_with_the_name_of_the_program() -> None:
    """`--version` names program, version and the core that runs."""
    first, second = run("--version").out.decode().splitlines()
    assert first == f"track-pipeline, version {__version__}"
    assert second == f"core: {chosen()}"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    """Each listed command can be imported, has its name and says what it does."""
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    assert found.name == name
    assert found.help
    assert run(name, "--help").code == ExitCode.OK


@pytest.mark.parametrize("arguments", [["--help"], ["transform", "--help"], ["explain", "--help"]])
def test_commands_without_kafka_do_not_load_it(arguments: list[str]) -> None:
    """The Kafka client is loaded only by commands that use it."""
    code = (
        "import sys\nfrom pipeline.cli.main import cli\n"
        f"try: cli({arguments})\nexcept SystemExit: pass\n"
        "print('confluent_kafka' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(),
        capture_output=True,
        timeout=TIMEOUT_S,
        check=True,
    )
    assert done.stdout.startswith(b"Usage: ")
    assert done.stderr.decode().strip() == "False"


def test_unknown_command_suggests_the_nearest() -> None:
    """A typo in a command ends as wrong usage, with the command that was probably intended."""
    ran = run("transfrom")
    assert ran.code == ExitCode.USAGE
    assert "Did you mean 'transform'?" in ran.err


def _raising(error: BaseException) -> Callable[..., Any]:
    def callback(**_arguments: object) -> None:
        raise error

    return callback


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (SettingsError(["a: wrong", "b: wrong"]), ExitCode.USAGE, "a: wrong\nb: wrong"),
        (TransportError("no broker"), ExitCode.KAFKA, "no broker"),
        (RefusedError("no topic"), ExitCode.KAFKA, "no topic"),
        (FencedError("another"), ExitCode.FENCED, "another"),
        (DataLossError("gone"), ExitCode.DATA_LOSS, "gone"),
        (OSError(28, "No space left", "/f"), ExitCode.INPUT_OUTPUT, "/f: No space left"),
        (OSError("odd"), ExitCode.INPUT_OUTPUT, "odd"),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, "interrupted"),
    ],
)
def test_failures_end_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: ExitCode, sentence: str
) -> None:
    """Each kind of failure has its exit code and prints its text after the program's name."""
    monkeypatch.setattr(explain_command.explain, "callback", _raising(error))
    ran = run("explain")
    expected = "".join(f"track-pipeline: {line}\n" for line in sentence.splitlines())
    assert (ran.code, ran.err) == (code, expected)


def test_bug_is_reported_as_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in this program is one sentence, too; its traceback is shown on request."""
    monkeypatch.setattr(explain_command.explain, "callback", _raising(KeyError("x\ny")))
    ran = run("explain")
    assert ran.code == ExitCode.INTERNAL
    assert ran.err.startswith("track-pipeline: internal error, KeyError: ")
    assert len(ran.err.splitlines()) == 1
    assert "Traceback (most recent call last)" in run("--traceback", "explain").err


@pytest.mark.parametrize("command", ["discard", "restore"])
def test_reason_that_is_not_utf8_is_rejected(command: str) -> None:
    """The ledger could not hold such a reason, which a terminal of another encoding sends."""
    ran = run("dlq", command, "--everything", "--because", "\udcff", "--execute")
    assert ran.code == ExitCode.USAGE
    assert "is not UTF-8 text" in ran.err


def test_all_wrong_settings_are_reported() -> None:
    """A command reports every wrong setting, one per line, before it reads anything."""
    ran = run("transform", env={"TRACK_LOG__LEVEL": "loud", "TRACK_GRUOP": "x"}, stdin=EVENT)
    assert (ran.code, ran.out) == (ExitCode.USAGE, b"")
    lines = ran.err.splitlines()
    assert [line.partition(": ")[2].split(":")[0] for line in lines] == [
        "TRACK_GRUOP",
        "TRACK_LOG__LEVEL",
    ]


def test_missing_broker_address_is_explained() -> None:
    """A command that needs Kafka says how to name a broker."""
    ran = run("run")
    assert ran.code == ExitCode.USAGE
    assert ran.err.startswith("track-pipeline: kafka.bootstrap.servers: is not set; give ")


def test_reader_that_leaves_ends_the_command_quietly() -> None:
    """When nobody reads standard output any more, only the summary is printed."""
    with started("transform") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.write(EVENT)
        process.stdin.close()
        lines = process.stderr.read().decode().splitlines()
    assert process.returncode == ExitCode.READER_GONE
    assert [line.split()[0] for line in lines] == ["lines", "events", "enriched", "dead", "stopped"]


def test_live_pipe_is_processed_as_it_comes() -> None:
    """Events of a live pipe come out as they come in; Ctrl-C ends with the counts so far."""
    with started("transform") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(EVENT)
        process.stdin.flush()
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        lines = process.stderr.read().decode().splitlines()
    assert first.startswith(b'{"type":"track","event":"A"')
    assert process.returncode == ExitCode.INTERRUPTED
    assert lines[0].split() == ["lines", "1"]
    assert lines[-1] == "track-pipeline: interrupted"


def test_full_disk_is_one_sentence() -> None:
    """A full disk under standard output is one sentence that names it."""
    with open("/dev/full", "wb") as full:  # noqa: PTH123  no Path beside a descriptor
        ran = run_process("transform", stdin=EVENT, stdout=full.fileno())
    assert ran.code == ExitCode.INPUT_OUTPUT
    last = ran.err.splitlines()[-1]
    assert last == "track-pipeline: standard output: No space left on device"
    assert "Traceback" not in ran.err
    assert "Exception ignored" not in ran.err
