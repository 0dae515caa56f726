"""`track-pipeline dlq list`: letters, one line each."""

from __future__ import annotations

import click

from pipeline.commands.dlq.options import Asked, desk_command


@click.command("list")
@desk_command
def list_letters(asked: Asked) -> None:
    """List letters, one line each, in the order of the topic."""
    for letter in asked.letters():
        click.echo(f"{letter.place}  {letter.reason}  {letter.event}")
