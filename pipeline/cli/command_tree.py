"""Groups of commands that are imported only when they are called."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import click


class Listed(NamedTuple):
    """A command of a group: where it is, and one line about it."""

    module: str
    summary: str
    attribute: str = ""
    """Its name in the module, where this is not the command's own."""


class CommandTree(click.Group):
    """Knows its commands by `listed`: name → where it is, in the order of the help text."""

    def __init__(self, *args: Any, listed: Mapping[str, Listed], **kwargs: Any) -> None:  # noqa: ANN401  click's
        super().__init__(*args, **kwargs)
        self._listed = listed

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in its order."""
        del ctx
        return list(self._listed)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None when there is none of this name."""
        del ctx
        listed = self._listed.get(cmd_name)
        if listed is None:
            return None
        module = importlib.import_module(listed.module)
        command: click.Command = getattr(module, listed.attribute or cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but near names are looked for among commands not imported yet."""
        name = args[0]
        if name not in self._listed and not name.startswith("-"):
            raise click.exceptions.NoSuchCommand(name, possibilities=self._listed, ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.summary) for name, each in self._listed.items()])
