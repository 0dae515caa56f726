"""Bounds of time on the command line."""

from __future__ import annotations

import itertools

import click
import pytest
from click.testing import CliRunner

from pipeline.cli.time_options import Moment
from pipeline.wiring import WallClock


@click.command()
@click.option("--from", "start", type=Moment("earliest"), default="earliest")
@click.option("--to", "end", type=Moment("latest"), default="latest")
def _window(start: int | None, end: int | None) -> None:
    click.echo(f"{start} {end}")


def test_options_of_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hours ago is the same moment for each of its options, however long reading them takes."""
    clock = itertools.count(1_800_000_000_000)
    monkeypatch.setattr(WallClock, "now", lambda _: next(clock))
    ran = CliRunner().invoke(_window, ["--from", "2h", "--to", "2h"])
    start, end = ran.stdout.split()
    assert start == end
    again = CliRunner().invoke(_window, ["--from", "2h"]).stdout
    assert again.split()[0] > start, "a later command asks the clock again"
    assert CliRunner().invoke(_window).stdout == "None None\n"
