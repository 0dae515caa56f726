"""`track-pipeline schemas show`: prints a schema, a published one or one of the registry."""

from __future__ import annotations

import json
from typing import Final

import click

from pipeline.avro.published import published
from pipeline.avro.schema_source import MAX_SCHEMA_ID, WriterSchema
from pipeline.cli.help import Command
from pipeline.cli.options import with_settings
from pipeline.cli.output import print_json, print_line, print_notice
from pipeline.core.contract import CONTRACT_VERSION
from pipeline.core.record import Role
from pipeline.errors import RefusedError, SettingsError
from pipeline.registry.optional_client import registry_client
from pipeline.settings.model import Settings

_OUTPUTS: Final = {"enriched": Role.ENRICHED, "identify": Role.IDENTIFY}
_REGISTRY: Final = ("--id", "--subject", "--subject-version")


@click.command(
    cls=Command,
    groups={
        "A published schema": ("--contract",),
        "A schema of the registry": (*_REGISTRY, "--schema-registry-url", "--config"),
    },
    examples={
        "The schema of enriched events": "track-pipeline schemas show enriched",
        "The schema that a record names by its id": (
            "track-pipeline schemas show --id 7 --schema-registry-url http://localhost:8081"
        ),
    },
)
@with_settings("--schema-registry-url")
@click.argument("output", type=click.Choice(list(_OUTPUTS)), required=False, metavar="[OUTPUT]")
@click.option(
    "--contract",
    default=CONTRACT_VERSION,
    metavar="VERSION",
    show_default=True,
    help="Contract version of a published schema.",
)
@click.option(
    "--id",
    "schema_id",
    type=click.IntRange(0, MAX_SCHEMA_ID),
    metavar="ID",
    help="Id in the registry.",
)
@click.option("--subject", metavar="NAME", help="Subject in the registry.")
@click.option(
    "--subject-version",
    type=click.IntRange(1),
    metavar="N",
    help="Version of the subject; else its newest.",
)
def show(  # noqa: PLR0913, PLR0917  its options
    settings: Settings,
    output: str | None,
    contract: str,
    schema_id: int | None,
    subject: str | None,
    subject_version: int | None,
) -> None:
    """Print the Avro schema of an OUTPUT as it is published, or a schema of the registry.

    OUTPUT is enriched or identify. Without --id and --subject it is the published one, of enriched
    events unless OUTPUT says otherwise. The exit code is 5 when the registry does not have the
    schema.
    """
    if (output is not None) + (schema_id is not None) + (subject is not None) > 1:
        raise SettingsError(["choose one of an output, --id and --subject"])
    if subject_version is not None and subject is None:
        raise SettingsError(["--subject-version: is a version of --subject, which is missing"])
    if schema_id is not None:
        _print_writer_schema(_by_id(settings, schema_id))
    elif subject is not None:
        _print_text(_of_subject(settings, subject, subject_version))
    else:
        _print_text(published(_OUTPUTS[output or "enriched"], contract))


def _by_id(settings: Settings, schema_id: int) -> WriterSchema:
    client = registry_client(settings, waits=False)
    found = client.by_id(schema_id)
    if found is None:
        raise RefusedError(f"{client.where} has no schema with the id {schema_id}")
    return found


def _of_subject(settings: Settings, subject: str, version: int | None) -> str:
    client = registry_client(settings)
    versions = client.versions(subject)
    number = version or (versions[-1] if versions else 0)
    found = client.version(subject, number) if number in versions else None
    if found is not None:
        return found.text
    if not versions:
        raise RefusedError(f"{client.where} has no subject {subject}")
    has = ", ".join(map(str, versions))
    raise RefusedError(f"{client.where} has no version {number} of subject {subject}, only {has}")


def _print_writer_schema(schema: WriterSchema) -> None:
    if schema.references:
        print_notice(f"it refers to: {', '.join(name for name, _ in schema.references)}")
    _print_text(schema.text)


def _print_text(text: str) -> None:
    try:
        document = json.loads(text)
    except ValueError:  # Protocol Buffers
        print_line(text)
    else:
        print_json(document, indented=True)
