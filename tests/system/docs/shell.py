"""Shell commands in the documents: their words, and whether each could be run."""

from __future__ import annotations

import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import click

from pipeline.cli.main import PROGRAM, cli
from pipeline.settings.model import load_settings
from tests.system.docs.snippets import ROOT, text
from tests.unit.cli.program import TIMEOUT_S, environment, read_terminal

_HERE_DOCUMENT: Final = re.compile(r"(?ms) *<<'(\w+)'$(.*?)^\1$")
_FILLED_IN: Final = re.compile(r"(?m)^\w+=…  # .*\n")
"""A variable that the reader sets; tests pass it in the environment."""
_ASSIGNMENT: Final = re.compile(r"(\w+)=(.*)", re.DOTALL)
_ENDS: Final = frozenset({"|", "||", "&&", ";"})
_OTHER_TOOLS: Final = frozenset(
    {
        *("cat", "curl", "echo", "head", "journalctl", "kubectl", "systemctl"),
        *("kafka-acls", "kafka-configs", "kafka-consumer-groups", "kafka-topics"),
        *("kafka-transactions", "promtool"),
    }
)
"""Programs whose options these tests do not know."""
_OFFLINE: Final = frozenset({"transform", "explain", "generate", "check"})


class Command(NamedTuple):
    """One command of a pipe or list, without its redirections."""

    words: list[str]
    variables: dict[str, str]
    """Set in front of it."""

    @property
    def is_ours(self) -> bool:
        """Whether it is this program."""
        return self.words[0] == PROGRAM

    @property
    def needs_no_kafka(self) -> bool:
        """Whether it can be run anywhere."""
        if not self.is_ours:
            return self.words[0] == "cat"
        first, options = self.words[1], self.words[2:]
        if first == "check":
            return "--show-config" in options
        return first.startswith("-") or (first in _OFFLINE and "--topic" not in options)


def commands(script: str) -> Iterator[Command]:
    """The commands of a script."""
    script = _FILLED_IN.sub("", _HERE_DOCUMENT.sub("", script)).replace("\\\n", " ")
    for line in script.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if word not in _ENDS:
                words.append(word)
            elif words:
                yield _command(words)
                words = []


def _command(words: list[str]) -> Command:
    kept: list[str] = []
    variables: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        assigned = _ASSIGNMENT.fullmatch(word)
        if word in {">", ">>", "<"}:
            next(rest)
        elif assigned is not None and not kept:
            variables[assigned[1]] = assigned[2]
        else:
            kept.append(word)
    return Command(kept, variables)


def check(command: Command) -> None:
    """Fail when a command could not be run: no such option, target, setting or file."""
    _check_variables(command.variables)
    match command.words:
        case [program, *arguments] if program == PROGRAM:
            parse(arguments)
        case ["make", target, *_]:
            assert target in make_targets()
        case ["export", assignment]:
            name, _, value = assignment.partition("=")
            _check_variables({name: value})
        case ["pip", "install", *arguments] | ["docker", "build", *arguments]:
            files = [after for flag, after in pairwise(arguments) if flag in {"-r", "-f"}]
            assert all((ROOT / file).is_file() for file in files)
        case ["python3", "-m", "venv", ".venv"] | [".", ".venv/bin/activate"]:
            pass
        case ["helm", "upgrade", *arguments]:
            charts = [path for path in arguments if path.startswith("deploy/")]
            assert all((ROOT / path / "Chart.yaml").is_file() for path in charts)
        case ["cp", source, *_]:
            assert (ROOT / source).is_file()
        case ["docker", "push", _]:
            pass
        case [program, *_] if program in _OTHER_TOOLS:
            pass
        case words:
            raise AssertionError(f"nobody has told this test how to check {words}")


def parse(arguments: list[str]) -> None:
    """Parse this program's arguments as it would, without running anything."""
    command: click.Command = cli
    with click.Context(cli, info_name=PROGRAM, **cli.context_settings) as context:
        while isinstance(command, click.Group) and arguments and arguments[0][0] != "-":
            found = command.get_command(context, arguments[0])
            assert found is not None, arguments
            command, arguments = found, arguments[1:]
    if isinstance(command, click.Group) and not arguments:
        return  # A group by itself shows its help.
    # --help and --version end by Exit; bad options otherwise.
    # A command keeps the help option of its first context, so this one must be the program's.
    settings = cli.context_settings
    with suppress(click.exceptions.Exit), click.Context(command, **settings) as context:
        command.parse_args(context, list(arguments))


def make_targets() -> set[str]:
    """The targets that `make` lists."""
    return set(re.findall(r"(?m)^([a-z]+):.*##", text("Makefile")))


def _check_variables(variables: dict[str, str]) -> None:
    # A file with a secret is nowhere here; its setting is.
    variables = {name.removesuffix("_FILE"): value for name, value in variables.items()}
    assert len(load_settings(None, {}, variables).sources) == len(variables), variables


_WAITS: Final = re.compile(
    r"^(?:track-pipeline: )?(?:the \w+ coordinator is not available yet"
    r"|the \w+ coordinator is available now|Kafka does not answer yet|Kafka answers now"
    r"|still |done .*, after |.* does not go on|.* goes on, after ).*\n",
    re.MULTILINE,
)


def bash(script: str, folder: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a script in a folder, where `track-pipeline` is this program; both outputs in one.

    It runs on a terminal of 80 columns without colours, as a reader would see it. What a slow
    machine has waited for is left out, and so is progress.
    """
    program = folder / "bin" / "track-pipeline"
    if not program.exists():
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pipeline "$@"\n')
        program.chmod(0o755)
    bash = shutil.which("bash")
    assert bash is not None
    terminal, ours = pty.openpty()
    with subprocess.Popen(
        [bash, "-euo", "pipefail", "-c", _FILLED_IN.sub("", script)],
        cwd=folder,
        env={
            **environment(),
            **variables,
            "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
            "TERM": "dumb",
        },
        stdin=subprocess.DEVNULL,
        stdout=ours,
        stderr=ours,
    ) as process:
        os.close(ours)
        watchdog = threading.Timer(2 * TIMEOUT_S, process.kill)
        watchdog.start()
        try:
            shown = read_terminal(terminal).replace("\r\n", "\n")
        finally:
            watchdog.cancel()
    return subprocess.CompletedProcess(script, process.returncode, _WAITS.sub("", shown))
