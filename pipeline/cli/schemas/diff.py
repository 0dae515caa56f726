"""`track-pipeline schemas diff`: what changes for a reader between two versions of a schema."""

from __future__ import annotations

from typing import Final

import click

from pipeline.cli.help import Command
from pipeline.cli.output import print_indented, print_json, print_line, print_table
from pipeline.cli.tables import CellKind, Column
from pipeline.errors import ExitCode
from pipeline.evolution.change import ChangeKind, Compatibility, SchemaDifference
from pipeline.evolution.compare import SchemaComparison, compare_schemas

_COLUMNS: Final = (
    Column("field", CellKind.ID),
    Column("change", CellKind.ID),
    Column("what", least=30),
)
_WHOLE: Final = "(all)"
"""Stands for a schema as a whole where a field is named."""


@click.command(
    "diff",
    cls=Command,
    examples={
        "Two versions of the contract": "track-pipeline schemas diff 1 2",
        "A changed schema, before it is registered": (
            "track-pipeline schemas diff old.avsc new.avsc"
        ),
        "A schema of yours and the published one": (
            "track-pipeline schemas diff 2 track-enriched.avsc"
        ),
    },
)
@click.argument("old")
@click.argument("new")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document for machines.")
@click.pass_context
def diff(ctx: click.Context, old: str, new: str, *, as_json: bool) -> None:
    """Show what changes for a reader between two versions of the schemas.

    OLD and NEW are contract versions (1, 2), files (*.avsc, *.json) or folders of them. A version
    that is compared with a file is its file of the same name.

    Who reads whose data is said in the words of a Schema Registry: FULL, BACKWARD (new readers read
    old data), FORWARD (old readers read new data) or NONE. Unlike a registry, this counts another
    scale of a decimal, or another unit of a time, as a change that no reader takes.

    The exit code is 0 when all schemas are FULL, 1 when one is not.
    """
    comparison = compare_schemas(old, new)
    if as_json:
        print_json(comparison.to_dict())
    else:
        print_comparison(comparison)
    ctx.exit(ExitCode.OK if comparison.is_compatible else ExitCode.DIFFERENCE)


def print_comparison(comparison: SchemaComparison) -> None:
    """Print what differs, schema by schema, and who reads whose data."""
    for number, difference in enumerate(comparison.differences):
        if number:
            print_line()
        _print_difference(difference)
    for names, where in ((comparison.added, "NEW"), (comparison.removed, "OLD")):
        if names:
            print_line()
            print_line(f"only in {where}: {', '.join(names)}")


def _print_difference(difference: SchemaDifference) -> None:
    level = difference.compatibility
    style = "bold green" if level is Compatibility.FULL else "bold red"
    print_line(f"{difference.name}: {level}", style)
    print_indented(level.meaning if difference.changes else "nothing changes for a reader")
    rows = [
        (each.field or _WHOLE, each.kind, each.words)
        for each in difference.changes
        if each.kind is not ChangeKind.DESCRIPTION
    ]
    print_table(_COLUMNS, rows, aligned=True)
    _print_descriptions(difference)
    _print_problems("new readers can't read in old data:", difference.new_reader)
    _print_problems("old readers can't read in new data:", difference.old_reader)


def _print_descriptions(difference: SchemaDifference) -> None:
    fields = [
        each.field or _WHOLE for each in difference.changes if each.kind is ChangeKind.DESCRIPTION
    ]
    if fields:
        print_line("other descriptions:")
        print_indented(", ".join(dict.fromkeys(fields)))


def _print_problems(title: str, problems: tuple[str, ...]) -> None:
    if problems:
        print_line(title)
    for problem in problems:
        print_indented(problem, "red")
