"""What the registry has of the outputs' schemas, as a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from pipeline.cli.output import is_terminal, print_indented, print_line, print_table
from pipeline.cli.tables import Cell, CellKind, Column
from pipeline.registry.report import SchemaReport
from pipeline.registry.schema_status import SchemaStatus

REGISTRY_FLAGS: Final = ("--schema-registry-url", "--enriched-topic", "--identify-topic")
_COLUMNS: Final = (
    Column("topic", CellKind.ID, 3),
    Column("subject", CellKind.ID),
    Column("schema", CellKind.ID),
    Column("version", CellKind.ID, 1),
    Column("newest", CellKind.ID, 4),
    Column("id", CellKind.ID),
    Column("guid", CellKind.ID, 5),
    Column("compatibility", CellKind.ID, 2),
)
_FRAMINGS: Final = {
    "prefix": "00 and the id in front of each value",
    "header": "01 and the GUID in the header __value_schema_id",
    "single-object": "C3 01 and the schema's fingerprint before each value",
}


def state(status: SchemaStatus) -> str:
    """Return whether a schema is registered, in one word."""
    if status.registered is not None:
        return "registered"
    return "incompatible" if status.obstacles else "missing"


def print_statuses(statuses: Sequence[SchemaStatus]) -> None:
    """Print a row for each schema and, for people, why it is not compatible."""
    print_table(_COLUMNS, map(_row, statuses))
    if is_terminal():
        _print_obstacles(statuses)


def _row(status: SchemaStatus) -> list[Cell]:
    registered = status.registered
    return [
        status.schema.topic,
        status.schema.subject,
        state(status),
        registered.version if registered else None,
        status.newest or None,
        registered.schema_id if registered else None,
        str(registered.guid) if registered and registered.guid else None,
        status.level,
    ]


def _print_obstacles(statuses: Iterable[SchemaStatus]) -> None:
    for status in statuses:
        if status.obstacles:
            print_line(f"why the schema of {status.schema.topic} is not compatible:", "bold")
            for obstacle in status.obstacles:
                print_indented(obstacle)


def print_framing(report: SchemaReport) -> None:
    """Print, for people, how outputs name their schema, and whether the registry has GUIDs."""
    if not is_terminal():
        return
    print_line(f"framing: {report.framing} ({_FRAMINGS[report.framing]})")
    print_line(f"the registry knows {'GUIDs' if report.knows_guids else 'no GUIDs'}")
    if not report.is_needed:
        print_line("outputs do not need the registry: see output.format and output.framing")
