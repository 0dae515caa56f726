"""The protocol by which framed records get their schemas.

The implementation that asks a Schema Registry is `pipeline/registry`.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, Protocol
from uuid import UUID

SchemaKind = Literal["avro", "json", "protobuf"]
"""Language of a registered schema."""


MAX_SCHEMA_ID: Final = 2**31 - 1
"""Highest id that a registry gives, and highest version of a subject. It may refuse to be asked for
a higher one."""


class WriterSchema(NamedTuple):
    """The registered schema that a record was written with."""

    kind: SchemaKind
    text: str
    references: tuple[tuple[str, str], ...] = ()
    """Name and text of every schema that it refers to, directly or not; each comes after those that
    it refers to itself."""


class SchemaSource(Protocol):
    """Finds registered schemas.

    Both methods return None when the registry says, also when asked again, that it has no such
    schema; they raise RegistryUnavailableError when it gives no answer that can be used. Whoever
    asks keeps what was found, which never changes, but asks again for what was not.
    """

    def by_id(self, schema_id: int) -> WriterSchema | None:
        """Find the schema of an id, 0 to `MAX_SCHEMA_ID`."""

    def by_guid(self, guid: UUID) -> WriterSchema | None:
        """Find the schema of a GUID."""


def find_schema(source: SchemaSource, name: int | UUID) -> WriterSchema | None:
    """Find the schema that a record names by an id or a GUID; see `SchemaSource`.

    A registry is never asked for an id that none gives.
    """
    if isinstance(name, UUID):
        return source.by_guid(name)
    return source.by_id(name) if name <= MAX_SCHEMA_ID else None
