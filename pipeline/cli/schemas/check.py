"""`track-pipeline schemas check`: are the outputs' schemas in the registry, or could they be?"""

from __future__ import annotations

import click

from pipeline.cli.help import Command
from pipeline.cli.options import with_settings
from pipeline.cli.output import print_json, print_notice
from pipeline.cli.schemas.view import REGISTRY_FLAGS, print_framing, print_statuses
from pipeline.errors import ExitCode
from pipeline.registry.optional_client import registry_client
from pipeline.registry.report import schema_report
from pipeline.settings.model import Settings


@click.command(
    cls=Command,
    groups={"Which schemas": (*REGISTRY_FLAGS, "--config"), "Output": ("--json",)},
    examples={
        "Before outputs become Avro, or a new version is deployed": (
            "track-pipeline schemas check --config pipeline.toml"
        ),
    },
)
@with_settings(*REGISTRY_FLAGS)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.pass_context
def check(ctx: click.Context, /, *, settings: Settings, as_json: bool) -> None:
    """Check what the registry has of the outputs' schemas: subject, id, version, compatibility.

    It says what is not compatible, field by field, and whether the registry knows GUIDs, which
    output.framing = header needs. Nothing is changed.

    The exit code is 0 when a worker could write Avro with these settings, 1 when it could not, and
    5 when the registry can't be reached, or rejects the request.
    """
    report = schema_report(settings, registry_client(settings))
    if as_json:
        print_json(report.to_dict())
    else:
        print_statuses(report.schemas)
        print_framing(report)
    for problem in report.problems:
        print_notice(problem)
    if report.problems:
        ctx.exit(ExitCode.DIFFERENCE)
