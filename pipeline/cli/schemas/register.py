"""`track-pipeline schemas register`: makes the outputs' schemas known to the registry."""

from __future__ import annotations

from typing import Any, Final

import click

from pipeline.cli.formats import counted
from pipeline.cli.help import Command
from pipeline.cli.options import with_settings
from pipeline.cli.output import print_json, print_notice, print_table
from pipeline.cli.schemas.view import REGISTRY_FLAGS
from pipeline.cli.tables import Cell, CellKind, Column
from pipeline.registry.optional_client import registry_client
from pipeline.registry.registered_schema import RegisteredSchema
from pipeline.registry.registration import (
    LEVELS,
    Registration,
    plan_registration,
    register_schema,
    require_compatible,
)
from pipeline.settings.model import Settings

_COLUMNS: Final = (
    Column("action", CellKind.ID),
    Column("subject", CellKind.ID),
    Column("version", CellKind.ID, 1),
    Column("id", CellKind.ID),
    Column("compatibility", CellKind.ID, 2),
)


class _Level(click.Choice[str]):
    """A compatibility level in any case, which messages write as registries do."""

    def normalize_choice(self, choice: object, ctx: click.Context | None) -> str:  # noqa: ARG002  click's
        """See `click.Choice`."""
        return str(choice).upper()


@click.command(
    cls=Command,
    groups={
        "Which schemas": (*REGISTRY_FLAGS, "--config"),
        "What to do": ("--compatibility", "--dry-run"),
        "Output": ("--json",),
    },
    examples={
        "See what would be registered": (
            "track-pipeline schemas register --config pipeline.toml --dry-run"
        ),
        "Register, and let the registry accept only what every reader can read": (
            "track-pipeline schemas register --config pipeline.toml \\\n"
            "  --compatibility FULL_TRANSITIVE"
        ),
    },
)
@with_settings(*REGISTRY_FLAGS)
@click.option(
    "--compatibility",
    type=_Level(LEVELS),
    metavar="LEVEL",
    help=(
        "Compatibility level that the subjects get: BACKWARD, FORWARD or FULL, each also with "
        "_TRANSITIVE, or NONE. By default it is left as it is."
    ),
)
@click.option("--dry-run", is_flag=True, help="Show what would be done and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def register(
    settings: Settings, compatibility: str | None, *, dry_run: bool, as_json: bool
) -> None:
    """Register the Avro schemas of enriched events and, with a rule, of identify messages.

    A schema that is registered already is left as it is. Nothing is registered unless the registry
    calls all of them compatible; otherwise the message says what is not.

    The exit code is 0 even when there is nothing to register, and 5 when the registry can't be
    reached, or rejects a schema.
    """
    client = registry_client(settings)
    plan = plan_registration(settings, client, compatibility)
    require_compatible(plan)
    done = {} if dry_run else {each: register_schema(client, each) for each in plan}
    if as_json:
        print_json([_to_dict(each, done.get(each)) for each in plan])
    else:
        print_table(_COLUMNS, [_row(each, done.get(each)) for each in plan])
    _report(plan, dry_run=dry_run)


def _report(plan: list[Registration], *, dry_run: bool) -> None:
    new = sum(each.is_new for each in plan)
    already = (
        f"; {counted(len(plan) - new, 'schema')} registered already" if new < len(plan) else ""
    )
    would = "would register" if dry_run else "registered"
    print_notice(f"{would} {counted(new, 'schema')}{already}" if new else f"nothing to do{already}")


def _row(planned: Registration, done: RegisteredSchema | None) -> list[Cell]:
    document = _to_dict(planned, done)
    return [document[each.name] for each in _COLUMNS]


def _to_dict(planned: Registration, done: RegisteredSchema | None) -> dict[str, Any]:
    status = planned.status
    registered = done or status.registered
    return {
        "action": "register" if planned.is_new else "keep",
        "subject": status.schema.subject,
        "version": registered.version if registered else None,
        "id": registered.schema_id if registered else None,
        "compatibility": planned.level or status.level,
    }
