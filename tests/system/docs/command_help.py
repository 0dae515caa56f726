"""The help texts of all commands as one page, the same on every terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import click

from pipeline.cli.main import PROGRAM, cli

WIDTH: Final = 80
"""Columns of the page, whatever terminal it is made on."""


class CommandHelp(NamedTuple):
    """What `--help` prints for one command."""

    path: str
    """The words that call the command, beginning with the program's name."""
    text: str


def all_commands() -> Iterator[CommandHelp]:
    """The program itself and each of its commands, in the order of their help texts."""
    yield from _under(cli, PROGRAM, None)


def _under(
    command: click.Command, path: str, parent: click.Context | None
) -> Iterator[CommandHelp]:
    context = click.Context(
        command,
        info_name=path.rpartition(" ")[2],
        parent=parent,
        terminal_width=WIDTH,
        max_content_width=WIDTH,
        **command.context_settings,
    )
    with context:
        yield CommandHelp(path, click.unstyle(command.get_help(context)).rstrip())
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                found = command.get_command(context, name)
                assert found is not None, name
                yield from _under(found, f"{path} {name}", context)


def reference() -> str:
    """Markdown: a heading and a block for each command."""
    return "\n".join(f"## {path}\n\n```text\n{text}\n```\n" for path, text in all_commands())
