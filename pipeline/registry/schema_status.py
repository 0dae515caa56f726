"""What a registry has of the schema of an output, and whether it would take it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from pipeline.avro.difference import incompatibilities
from pipeline.errors import RefusedError, SchemaFileError
from pipeline.registry.output_schemas import OutputSchema, register_command
from pipeline.registry.registered_schema import RegisteredSchema
from pipeline.settings.model import Settings

if TYPE_CHECKING:  # the client is an extra
    from pipeline.registry.client import RegistryClient

_SHOWN: Final = 3
"""Obstacles that a sentence names."""
UNKNOWN_LEVEL: Final = "unknown"
_NO_SCHEMA: Final = "the registry rejects it for a reason of its own"


class SchemaStatus(NamedTuple):
    """Whether a schema is registered, and if not, whether it could be."""

    schema: OutputSchema
    level: str
    """Compatibility level that applies to the subject."""
    registered: RegisteredSchema | None
    newest: int
    """Newest version of the subject; 0 when there is none."""
    obstacles: tuple[str, ...]
    """Why the registry would not take the schema; empty when it would, or has it."""

    def sentence(self) -> str:
        """Return what is registered; for a schema that has no obstacles."""
        found, subject = self.registered, self.schema.subject
        if found is None:
            return f"{subject}: is registered on startup, compatibility {self.level}"
        guid = "" if found.guid is None else f", GUID {found.guid}"
        return (
            f"{subject}: version {found.version}, id {found.schema_id}{guid}, "
            f"compatibility {self.level}"
        )

    def incompatible(self) -> str:
        """Return a sentence that says why it is not compatible."""
        more = len(self.obstacles) - _SHOWN
        rest = f"; and {more} more (see `track-pipeline schemas check --json`)" if more > 0 else ""
        return (
            f"the schema of {self.schema.topic} is not compatible with subject "
            f"{self.schema.subject} ({self.level}): {'; '.join(self.obstacles[:_SHOWN])}{rest}"
        )


def schema_status(client: RegistryClient, schema: OutputSchema) -> SchemaStatus:
    """Ask a registry about the schema of an output."""
    subject = schema.subject
    registered = client.look_up(subject, schema.text)
    versions = client.versions(subject)
    level = _level(client, subject)
    obstacles: tuple[str, ...] = ()
    if registered is None:
        obstacles = tuple(_other_language(client, subject, versions))
        if not obstacles and not client.is_compatible(subject, schema.text):
            obstacles = tuple(_obstacles(client, schema, versions, level)) or (_NO_SCHEMA,)
    return SchemaStatus(schema, level, registered, versions[-1] if versions else 0, obstacles)


def _level(client: RegistryClient, subject: str) -> str:
    """Return the subject's compatibility level, which whoever may register may still not read."""
    try:
        return client.compatibility(subject)
    except RefusedError:
        return UNKNOWN_LEVEL


def missing(settings: Settings, client: RegistryClient, schema: OutputSchema) -> str:
    """Return a sentence about a schema that is not registered, and what to do."""
    return (
        f"{client.where} does not have the schema of {schema.topic} in subject {schema.subject}: "
        f"register it with `{register_command(settings)}`, or set schema_registry.auto_register = "
        "true"
    )


def _other_language(client: RegistryClient, subject: str, versions: list[int]) -> Iterator[str]:
    """Yield why a subject takes no Avro schema at all: it has others."""
    newest = client.version(subject, versions[-1]) if versions else None
    if newest is not None and newest.kind != "avro":
        language = {"json": "JSON", "protobuf": "Protobuf"}[newest.kind]
        yield (
            f"version {newest.version} is a {language} schema, and a subject has schemas of one "
            "language: write Avro to another topic, or choose another "
            "schema_registry.subject_name_strategy"
        )


def _obstacles(
    client: RegistryClient, schema: OutputSchema, versions: list[int], level: str
) -> Iterator[str]:
    """Yield why a new schema is not compatible with a subject's versions, oldest first."""
    for number in versions if "TRANSITIVE" in level else versions[-1:]:
        version = client.version(schema.subject, number)
        if version is not None:
            for problem in _against(schema.text, version.text, level):
                yield f"version {number}: {problem}"


def _against(new: str, old: str, level: str) -> Iterator[str]:
    try:
        if level == UNKNOWN_LEVEL or "BACKWARD" in level or "FULL" in level:
            yield from (f"with the new schema, {why}" for why in incompatibilities(new, old))
        if "FORWARD" in level or "FULL" in level:
            yield from (f"with the old schema, {why}" for why in incompatibilities(old, new))
    except SchemaFileError as error:
        yield str(error)
