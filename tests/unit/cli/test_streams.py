"""Standard streams that are closed, full, or read by nobody: one ending for all commands."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import click
import pytest

from pipeline.cli.main import cli
from pipeline.errors import ExitCode
from tests.unit.cli.program import TIMEOUT_S, environment

_BASH: Final = shutil.which("bash") or "bash"
EVENT: Final = '{"event":"A","userId":"u","messageId":"m"}'
HELP_OF_EACH: Final = """
import os, sys
from pathlib import Path
from pipeline.cli.main import cli, main
from pipeline.cli.streams import connect_streams
from tests.unit.cli.test_streams import leaves
connect_streams()
output, told = os.dup(1), Path(sys.argv[1])
lines = []
for path in leaves(cli):
    os.dup2(output, 1)
    sys.argv[1:] = [*path.split(), "--help"]
    try:
        main()
    except SystemExit as end:
        lines.append(f"{path} {int(end.code)}")
told.write_text("\\n".join(lines))
"""
"""Each command as the program itself, one after the other, with the same standard output."""


def leaves(group: click.Group, path: str = "") -> Iterator[str]:
    """Every group and command below a group, by the words that call it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield f"{path}{name}"
        if isinstance(command, click.Group):
            yield from leaves(command, f"{path}{name} ")


class Ended(NamedTuple):
    """How a process ended, and what it said on standard error."""

    code: int
    err: str


def shell(script: str) -> Ended:
    """Run a line of shell in which `$RUN` is the program."""
    run = f"{sys.executable} -m pipeline"
    done = subprocess.run(
        [_BASH, "-c", script.replace("$RUN", run)],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=TIMEOUT_S,
        check=False,
    )
    return Ended(done.returncode, done.stderr.decode())


NOBODY_READS: Final = "exec 3> >(exec true); wait $!; $RUN ARGUMENTS >&3"
OUTPUTS: Final = {
    "reader_gone": (NOBODY_READS, ExitCode.READER_GONE, ""),
    "closed": ("$RUN ARGUMENTS >&-", ExitCode.INPUT_OUTPUT, "standard output: is closed"),
    "full": (
        "$RUN ARGUMENTS > /dev/full",
        ExitCode.INPUT_OUTPUT,
        "standard output: No space left on device",
    ),
}
each_output = pytest.mark.parametrize(("line", "code", "sentence"), OUTPUTS.values(), ids=OUTPUTS)


@each_output
def test_every_command_ends_alike_without_standard_output(
    line: str, code: ExitCode, sentence: str, tmp_path: Path
) -> None:
    """Every command of the tree ends alike when standard output can't be written."""
    paths = list(leaves(cli))
    assert "dlq redrive" in paths
    told = tmp_path / "told"
    script = tmp_path / "script.py"
    script.write_text(HELP_OF_EACH)
    run = f"{sys.executable} {script} {told}"
    ended = shell(line.replace("$RUN ARGUMENTS", run))
    assert told.read_text().splitlines() == [f"{path} {int(code)}" for path in paths]
    assert set(ended.err.splitlines()) == ({f"track-pipeline: {sentence}"} if sentence else set())


WORK: Final = {
    "transform": "transform --json",
    "explain": "explain",
    "generate": "generate --count 20000",
    "help": "--help",
    "version": "--version",
}


@each_output
@pytest.mark.parametrize("arguments", WORK.values(), ids=WORK)
def test_output_of_every_kind_ends_alike(
    line: str, code: ExitCode, sentence: str, arguments: str
) -> None:
    """Output ends alike whether it is printed through click, through rich, or as bytes."""
    ended = shell(f"echo '{EVENT}' | ( {line.replace('ARGUMENTS', arguments)} )")
    assert ended.code == code
    last = ended.err.splitlines()[-1:]
    if sentence:
        assert last == [f"track-pipeline: {sentence}"]
    assert "track-pipeline: " not in "".join(ended.err.splitlines()[:-1])
    assert "Traceback" not in ended.err
    assert "Exception ignored" not in ended.err


def test_ending_of_rich_is_never_reached() -> None:
    """Rich ends a broken pipe with exit code 1 by itself, which must never happen."""
    printing = "from rich.console import Console as C; import pipeline.cli.explain as e; "
    printing += "from pipeline.cli.main import main; "
    printing += "e.explain.callback = lambda **_: C().print('x'); main()"
    line = NOBODY_READS.replace("$RUN ARGUMENTS", f'{sys.executable} -c "{printing}" explain')
    assert shell(line) == Ended(ExitCode.READER_GONE, "")


def test_standard_error_is_not_needed() -> None:
    """A closed standard error changes nothing except that the summary is not seen."""
    assert shell(f"echo '{EVENT}' | $RUN transform --json 2>&-").code == ExitCode.OK
    assert shell("$RUN transform --nonsense 2>&-").code == ExitCode.USAGE
    assert shell("$RUN transform --nonsense 2>/dev/full").code == ExitCode.USAGE
    assert shell("$RUN transform /no/such/file 2>/dev/full").code == ExitCode.USAGE
