"""The Avro schemas that the outputs are published under, by contract version.

They are files of `schemas/`. In a checkout they are read from there; a wheel holds a copy of them
beside the package's modules.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from fastavro.schema import (
    SchemaParseException,
    UnknownType,
    parse_schema,
    to_parsing_canonical_form,
)
from fastavro.schema import fingerprint as hexadecimal_fingerprint

from pipeline.core.contract import CONTRACT_VERSION
from pipeline.core.record import Role
from pipeline.errors import SchemaFileError

AvroSchema = dict[str, Any] | list[Any] | str
"""A schema as fastavro has parsed it."""

AVRO_FILES: Final = {Role.ENRICHED: "track-enriched.avsc", Role.IDENTIFY: "track-identify.avsc"}
"""File of each output that has an Avro form, in the folder of a version."""

_PACKAGE: Final = Path(__file__).parents[1]
_PLACES: Final = (_PACKAGE / "schemas", _PACKAGE.parent / "schemas")
"""Folders that may hold those of the versions: that of a wheel, that of a checkout."""
_FINGERPRINT: Final = "CRC-64-AVRO"
_NO_SCHEMA: Final = (AttributeError, RecursionError, TypeError)
"""What fastavro raises for some of the texts that are no schema, besides errors of its own."""


class PublishedSchema(NamedTuple):
    """One published Avro schema: of which output and contract version, and its text."""

    role: Role
    version: str
    text: str


def schema_folder() -> Path:
    """Folder that has a folder of schemas for each contract version."""
    for place in _PLACES:
        if (place / CONTRACT_VERSION).is_dir():
            return place
    raise SchemaFileError(
        f"the schemas of contract version {CONTRACT_VERSION} are not installed (looked for in "
        f"{' and '.join(map(str, _PLACES))}): install track-pipeline again"
    )


def versions(role: Role) -> tuple[str, ...]:
    """Contract versions that have published an Avro schema of this output, oldest first."""
    found = [path.parent.name for path in schema_folder().glob(f"[0-9]*/{_file_name(role)}")]
    return tuple(sorted(found, key=int))


@cache
def published(role: Role, version: str = CONTRACT_VERSION) -> str:
    """Text of the Avro schema that this output has in a contract version.

    Raises:
        SchemaFileError: There is none, or it can't be read.
    """
    known = versions(role)
    if version not in known:
        raise SchemaFileError(
            f"contract version {version} has no {_file_name(role)} (versions that have one: "
            f"{', '.join(known) or 'none'})"
        )
    path = schema_folder() / version / _file_name(role)
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SchemaFileError(
            f"{path} can't be read ({error}): install track-pipeline again"
        ) from error


@cache
def published_schemas() -> tuple[PublishedSchema, ...]:
    """Every published Avro schema, of each output the oldest first."""
    return tuple(
        PublishedSchema(role, version, published(role, version))
        for role in AVRO_FILES
        for version in versions(role)
    )


def parsed(text: str, name: str = "the schema", types: dict[str, Any] | None = None) -> AvroSchema:
    """A schema that fastavro has parsed; `name` is what an error calls it.

    `types` are named types that it may refer to; those that it defines are added.

    Raises:
        SchemaFileError: The text is no Avro schema.
    """
    try:
        schema: AvroSchema = parse_schema(json.loads(text), types)
    except json.JSONDecodeError as error:
        raise SchemaFileError(f"{name} is no JSON: {error}") from error
    except UnknownType as error:
        raise SchemaFileError(f"{name} has a type that nothing defines: {error.name}") from error
    except KeyError as error:
        raise SchemaFileError(f"{name} is no Avro schema: {error} is missing") from error
    except (SchemaParseException, ValueError) as error:
        raise SchemaFileError(f"{name} is no Avro schema: {error}") from error
    except _NO_SCHEMA as error:
        part = "a part of it is of the wrong kind"
        raise SchemaFileError(f"{name} is no Avro schema: {part} ({error})") from error
    return schema


def fingerprint(text: str) -> bytes:
    """Fingerprint of a schema as single-object encoding writes it: 8 bytes, little endian.

    Descriptions, defaults and logical types do not change it: it is of the parsing canonical form.
    """
    canonical = to_parsing_canonical_form(parsed(text))
    return bytes.fromhex(hexadecimal_fingerprint(canonical, _FINGERPRINT))


def by_fingerprint(sought: bytes) -> PublishedSchema | None:
    """Published schema with this fingerprint, the newest of them; None when there is none."""
    return _by_fingerprint().get(sought)


@cache
def _by_fingerprint() -> dict[bytes, PublishedSchema]:
    return {fingerprint(schema.text): schema for schema in published_schemas()}


def _file_name(role: Role) -> str:
    if role not in AVRO_FILES:
        raise SchemaFileError(f"outputs of the kind {role} have no Avro form")
    return AVRO_FILES[role]
