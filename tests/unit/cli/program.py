"""Run the program: in this process, or as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from click.testing import CliRunner

from pipeline.cli.main import PROGRAM, cli
from pipeline.compiled.choice import VARIABLE as CORE_VARIABLE
from pipeline.settings.names import PREFIX

_ROOT: Final = Path(__file__).parents[3]
_MAIN: Final = "from pipeline.cli.main import main; main()"
TIMEOUT_S: Final = 30


class Ran(NamedTuple):
    """How a run ended."""

    code: int
    out: bytes
    err: str


def run(*arguments: str | Path, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Ran:
    """Run a command in this process."""
    variables: dict[str, str | None] = dict.fromkeys(_ours())
    # A worker blocks signals for the rest of its process, and all processes that this one starts
    # would inherit that.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        result = CliRunner().invoke(
            cli,
            [str(argument) for argument in arguments],
            input=stdin,
            env={**variables, **(env or {})},
            prog_name=PROGRAM,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return Ran(result.exit_code, result.stdout_bytes, result.stderr)


def command(*arguments: str | Path) -> list[str]:
    """The command line of a process."""
    return [sys.executable, "-c", _MAIN, *map(str, arguments)]


def environment() -> dict[str, str]:
    """Of a process: no settings of the machine's, and the project importable."""
    kept = {name: value for name, value in os.environ.items() if name not in _ours()}
    kept.pop("PYTHONUNBUFFERED", None)  # users have it off
    return {**kept, "PYTHONPATH": str(_ROOT)}


def run_process(
    *arguments: str | Path,
    stdin: bytes = b"",
    stdout: int | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Ran:
    """Run the program as a process; `stdout` is a file descriptor to write to."""
    done = subprocess.run(
        command(*arguments),
        input=stdin,
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.PIPE,
        env={**environment(), **(env or {})},
        timeout=timeout_s,
        check=False,
    )
    return Ran(done.returncode, done.stdout or b"", done.stderr.decode())


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """The program with pipes to talk to it; killed when it does not end in time."""
    with subprocess.Popen(
        command(*arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        watchdog = threading.Timer(TIMEOUT_S, process.kill)
        watchdog.start()
        try:
            yield process
        finally:
            watchdog.cancel()


def read_terminal(terminal: int) -> str:
    """What is written to a terminal until its last writer ends."""
    pieces = []
    try:
        while piece := os.read(terminal, 65536):
            pieces.append(piece)
    except OSError:
        pass  # Linux says so when nobody holds the other side any more
    finally:
        os.close(terminal)
    return b"".join(pieces).decode()


def _ours() -> list[str]:
    return [name for name in os.environ if name.startswith(PREFIX) and name != CORE_VARIABLE]
