"""The last line of a command of the desk: what there was, and what was left out."""

from __future__ import annotations

import click

from pipeline.cli.dlq.options import Asked


def say_what_was_left_out(asked: Asked, count: int) -> None:
    """On standard error: no letter at all, and letters with which something was done."""
    done = asked.desk.done
    if done:
        parts = ", ".join(f"{number:,} {action}" for action, number in sorted(done.items()))
        click.echo(f"left out: {parts} (--all shows them)", err=True)
    if not count:
        click.echo(f"no letters in {asked.desk.captured.topic} are meant", err=True)
