"""Start and end of a time window on the command line."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner

from pipeline.cli import options
from pipeline.cli.options import Moment


@click.command()
@click.option("--from", "start", type=Moment("earliest"), default="earliest")
@click.option("--to", "end", type=Moment("latest"), default="latest")
def _window(start: int | None, end: int | None) -> None:
    click.echo(f"{start} {end}")


def test_a_wrong_time_is_answered_by_all_forms() -> None:
    """One list has the forms, and the word for no limit."""
    ran = CliRunner().invoke(_window, ["--from", "yesterday"])
    assert (
        "'yesterday' is not a valid time. Use 2026-11-01, 2026-11-01T12:00Z, an age such as 3d, "
        "or earliest for no limit."
    ) in ran.stderr
    assert "or latest for no limit.\n" in CliRunner().invoke(_window, ["--to", "soon"]).stderr


def test_an_age_is_counted_from_one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hours ago is the same moment for each option, however long it takes to read them."""
    clock = itertools.count(1_800_000_000_000)
    monkeypatch.setattr(options, "time", SimpleNamespace(time_ns=lambda: next(clock) * 1_000_000))
    ran = CliRunner().invoke(_window, ["--from", "2h", "--to", "2h"])
    start, end = ran.stdout.split()
    assert start == end
    again = CliRunner().invoke(_window, ["--from", "2h"]).stdout
    assert again.split()[0] > start, "a later command asks the clock again"
    assert CliRunner().invoke(_window).stdout == "None None\n"
