"""What is printed on a terminal, in a pipe, and as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

import click
import pytest
from click.testing import CliRunner
from rich.cells import cell_len
from rich.text import Text

from pipeline.cli.formats import Money
from pipeline.cli.output import print_json, print_line, print_notice, print_table, print_warning
from pipeline.cli.progress import shown_progress
from pipeline.cli.tables import Cell, CellKind, Column
from pipeline.progress import Progress
from tests.unit.cli.terminal import as_terminal

_ID: Final = "discard-20261126T152200Z-4f2a"
_DETAIL: Final = "must be a number, or text that holds one plain decimal number"
COLUMNS: Final = (
    Column("id", CellKind.ID),
    Column("offset", CellKind.ID, priority=2),
    Column("dead letters", CellKind.NUMBER),
    Column("share", CellKind.SHARE, priority=3),
    Column("revenue", CellKind.MONEY, priority=1),
    Column("first", CellKind.TIME, priority=4),
    Column("detail", CellKind.TEXT, priority=5),
)
ROWS: Final[list[tuple[Cell, ...]]] = [
    (_ID, 1234567, 14514, 0.9999, Money(Decimal("176556.20999999999999"), "EUR"), 0, _DETAIL),
    ("x", 7, 1, 0.0, None, None, "short"),
]


def _rows() -> Iterator[tuple[Cell, ...]]:
    yield from ROWS


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_ids_and_amounts_stay_whole_at_every_width(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """A column is shown with all that it has, or not at all; and a line tells which is not."""
    terminal = as_terminal(monkeypatch, width)
    print_table(COLUMNS, _rows())
    lines = terminal.lines()
    assert width == 40 or all(cell_len(line) <= width for line in lines)
    rows, _, left_out = (
        " ".join(lines).replace("column left", "columns left").partition("columns left out: ")
    )
    hidden = " ".join(left_out.split()).partition(" (")[0].split(", ")
    assert bool(left_out) == (width < 120)
    for name, whole in {
        "id": _ID,
        "offset": "1234567",
        "dead letters": "14,514",
        "share": ">99 %",
        "revenue": "176,556.21",
        "first": "1970-01-01T00:00:00Z",
        "detail": "must be a",
    }.items():
        assert (whole in rows) == (name not in hidden), name
        assert "…" not in rows


def test_columns_of_lowest_priority_are_left_out_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever needs them is told what to do."""
    terminal = as_terminal(monkeypatch, 80)
    print_table(COLUMNS, ROWS)
    assert terminal.lines() == [
        "id                              offset  dead letters  share     revenue",
        f"{_ID}  1234567        14,514  >99 %  176,556.21",
        "x                                    7             1    0 %           -",
        "columns left out: first, detail (a wider terminal shows them)",
    ]


def test_one_column_is_singular(monkeypatch: pytest.MonkeyPatch) -> None:
    """The names that are left out are returned, for what a view says about a column."""
    terminal = as_terminal(monkeypatch, 100)
    assert print_table(COLUMNS, ROWS) == ["detail"]
    assert terminal.lines()[-1] == "column left out: detail (a wider terminal shows it)"


def test_json_is_named_where_a_command_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line about columns that are left out names --json only where there is one."""

    @click.command()
    @click.option("--json", "as_json", is_flag=True)
    def command(*, as_json: bool) -> None:
        del as_json
        terminal = as_terminal(monkeypatch, 40)
        print_table(COLUMNS, ROWS)
        assert "(a wider terminal shows them, and --json)" in " ".join(terminal.lines())

    assert CliRunner().invoke(command, catch_exceptions=False).exit_code == 0


def test_what_must_be_shown_is_never_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where not even the columns of highest priority have room, the terminal breaks the line."""
    terminal = as_terminal(monkeypatch, 40)
    print_table(COLUMNS, ROWS)
    assert f"{_ID}        14,514" in "\n".join(terminal.lines())


def test_texts_share_the_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long text is folded, or shortened with …; a column that needs little leaves the rest."""
    columns = (Column("event"), Column("detail"), Column("place", CellKind.SHORT_TEXT))
    terminal = as_terminal(monkeypatch, 60)
    print_table(columns, [("Order", _DETAIL, "/properties/products/0/price")])
    assert terminal.lines() == [
        "event  detail                      place",
        "Order  must be a number, or text   /properties/products/0/p…",
        "       that holds one plain",
        "       decimal number",
    ]


def test_long_streams_begin_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that is longer than memory is printed in pieces, under one heading."""
    terminal = as_terminal(monkeypatch, 80)

    def rows() -> Iterator[tuple[Cell, ...]]:
        for number in range(2000):
            if number == 1000:
                assert "999" in terminal.getvalue()
            yield (number, "a")

    print_table((Column("offset", CellKind.ID), Column("name")), rows())
    lines = terminal.lines()
    assert (len(lines), lines.count("offset  name")) == (2001, 1)


def test_table_without_rows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pipe gets the names of the columns all the same, so that a script finds them."""
    print_table((Column("id"), Column("reason")), [])
    assert capsys.readouterr().out == "id\treason\n"
    terminal = as_terminal(monkeypatch, 80)
    print_table((Column("id"), Column("reason")), [])
    assert not terminal.getvalue()


def test_pipe_gets_exact_values_in_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    """No limit of width, no separators, no rounding; tabs and line ends of events are escaped."""
    print_table(COLUMNS, [*ROWS, ("a\tb", 1, 2, 0.5, None, 1, f"{'x' * 500}\n\x1b[31m")])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t") for line in lines] == [
        ["id", "offset", "dead letters", "share", "revenue", "first", "detail"],
        [
            _ID,
            "1234567",
            "14514",
            "0.9999",
            "176556.20999999999999",
            "1970-01-01T00:00:00.000Z",
            _DETAIL,
        ],
        ["x", "7", "1", "0.0", "", "", "short"],
        [
            "a\\u0009b",
            "1",
            "2",
            "0.5",
            "",
            "1970-01-01T00:00:00.001Z",
            f"{'x' * 500}\\n\\u001b[31m",
        ],
    ]


def test_table_within_a_text_is_aligned_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    """A report for people, and standard error, keep their form in a pipe, without a limit."""
    rows = [("lines", 1000, "x" * 300), ("dead letters", 1, "")]
    columns = (Column("", CellKind.ID), Column("", CellKind.NUMBER), Column(""))
    print_table(columns, rows, aligned=True)
    print_table(columns, rows, err=True)
    expected = f"lines         1,000  {'x' * 300}\ndead letters      1\n"
    assert tuple(capsys.readouterr()) == (expected, expected)


def test_forced_colour_does_not_make_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Build servers set FORCE_COLOR, but nobody parses a table there with another form."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    print_table((Column("id"),), [("a",)])
    assert capsys.readouterr().out == "id\na\n"


@pytest.mark.parametrize("colour", [True, False])
def test_colour_only_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch, *, colour: bool) -> None:
    """With NO_COLOR set there is no colour; what it says stands there in words."""
    terminal = as_terminal(monkeypatch, 80)
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")
    print_table((Column("state"),), [(Text("failed", "red"),)])
    assert ("\x1b[31mfailed" in terminal.getvalue()) == colour
    assert "failed" in terminal.getvalue()


def test_lines_are_escaped_and_never_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command that is shown can be copied; text of events drives no terminal."""
    long = "next: track-pipeline dlq why " + "--reason x " * 20
    print_line(f"{long}\x1b[31m [bold]")
    print_notice("left out: 3")
    print_warning("topic x keeps events for 1 h")
    printed = capsys.readouterr()
    assert printed.out == f"{long}\\u001b[31m [bold]\n"
    assert printed.err == "left out: 3\nwarning: topic x keeps events for 1 h\n"
    terminal = as_terminal(monkeypatch, 40)
    print_line(long)
    assert terminal.lines() == [long]


def test_bar_does_not_move_output_away_from_its_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With standard error on a terminal, what is printed during the work is still in the file."""
    terminal = as_terminal(monkeypatch, 80, "stderr")
    with shown_progress() as on_progress:
        on_progress(Progress("reading", 1, 2))
        print_line("a result")
        sys.stdout.write("another result\n")
    assert capsys.readouterr().out == "a result\nanother result\n"
    assert "reading" in terminal.getvalue()
    assert "a result" not in terminal.getvalue()


def test_json_is_exact_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers have all their digits; whatever can't be shown is escaped, and stays that JSON."""
    amount = "176556.20999999999999999999999999999"
    print_json({"amount": Decimal(amount), "count": 10**30, "text": "ü\x1b\u202e\n"})
    out = capsys.readouterr().out
    assert out == f'{{"amount":{amount},"count":1{"0" * 30},"text":"ü\\u001b\\u202e\\n"}}\n'
    print_json({"a": [1]}, indented=True, err=True)
    assert capsys.readouterr().err == '{\n  "a": [\n    1\n  ]\n}\n'


def test_json_of_a_name_that_is_no_utf8(capsys: pytest.CaptureFixture[str]) -> None:
    """A file may have a name that no JSON can hold; its other bytes are shown."""
    print_json({"files": [{"\udcff": "a\udcff"}, 1], "n": 1})
    assert json.loads(capsys.readouterr().out) == {"files": [{"\\udcff": "a\\udcff"}, 1], "n": 1}
