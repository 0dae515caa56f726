"""What a registry has of the schema of an output, and whether it would take it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from pipeline.avro.difference import incompatibilities
from pipeline.errors import SchemaFileError
from pipeline.registry.client import RegistryClient
from pipeline.registry.output_schemas import OutputSchema
from pipeline.registry.registered_schema import RegisteredSchema

_SHOWN: Final = 3
"""Obstacles that a sentence names."""


class SchemaStatus(NamedTuple):
    """Whether a schema is registered, and what hinders it."""

    schema: OutputSchema
    level: str
    """Compatibility level that applies to the subject."""
    registered: RegisteredSchema | None
    latest: int
    """Newest version of the subject; 0 when there is none."""
    obstacles: tuple[str, ...]
    """Why the registry would not take the schema; empty when it would, or has it."""

    @property
    def can_be_registered(self) -> bool:
        """Whether the schema is missing, and nothing hinders it."""
        return self.registered is None and not self.obstacles

    def incompatible(self) -> str:
        """Return a sentence about what hinders it."""
        more = len(self.obstacles) - _SHOWN
        rest = f"; and {more} more (see `track-pipeline schemas check`)" if more > 0 else ""
        return (
            f"the schema of {self.schema.topic} is not compatible with subject "
            f"{self.schema.subject} ({self.level}): {'; '.join(self.obstacles[:_SHOWN])}{rest}"
        )


def schema_status(client: RegistryClient, schema: OutputSchema) -> SchemaStatus:
    """Ask a registry about the schema of an output."""
    subject = schema.subject
    registered = client.look_up(subject, schema.text)
    versions = client.versions(subject)
    level = client.compatibility(subject)
    found: tuple[str, ...] = ()
    if registered is None and not client.is_compatible(subject, schema.text):
        found = tuple(_obstacles(schema.text, versions, level)) or (
            "the registry rejects it for a reason of its own",
        )
    newest = versions[-1].version if versions else 0
    return SchemaStatus(schema, level, registered, newest, found)


def _obstacles(text: str, versions: list[RegisteredSchema], level: str) -> Iterator[str]:
    """Yield why a new schema is not compatible with a subject's versions, oldest first."""
    for version in versions if "TRANSITIVE" in level else versions[-1:]:
        for problem in _against(text, version.text, level):
            yield f"version {version.version}: {problem}"


def _against(new: str, old: str, level: str) -> Iterator[str]:
    try:
        if "BACKWARD" in level or "FULL" in level:
            yield from (
                f"a reader with the new schema: {why}" for why in incompatibilities(new, old)
            )
        if "FORWARD" in level or "FULL" in level:
            yield from (
                f"a reader with the old schema: {why}" for why in incompatibilities(old, new)
            )
    except SchemaFileError as error:
        yield str(error)
