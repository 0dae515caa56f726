"""The JSON form of any message of an output topic, whichever format and framing it has."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias
from uuid import UUID

from pipeline.avro.event_json import RecordSchema, enriched_json
from pipeline.avro.framing import JSON_START, Frame, unframe
from pipeline.avro.published import by_fingerprint, fingerprint, parsed, versions
from pipeline.avro.schema_source import SchemaSource, WriterSchema, find_schema
from pipeline.core.headers import VALUE_SCHEMA_ID
from pipeline.core.reasons import Invalid
from pipeline.core.record import Headers, Role
from pipeline.errors import SchemaFileError, UnreadableOutputError

Schemas: TypeAlias = SchemaSource | Mapping[int | UUID | bytes, str] | None
"""Source of the schemas of messages: a registry, or texts of Avro schemas by what names them in a
message (an id, a GUID or the 8 bytes of a fingerprint). The published schemas are known by their
fingerprints in any case."""

_SHOWN: Final = 4


class AvroOutput(NamedTuple):
    """An Avro message taken apart."""

    payload: bytes
    """The Avro data without its framing."""
    schema: RecordSchema
    fingerprint: bytes
    """Fingerprint of the schema, which the id of a registry is not."""


def output_json(value: bytes, headers: Headers = (), schemas: Schemas = None) -> bytes:
    """The JSON form of an enriched event or identify message.

    JSON is returned as it is and not looked at any further. What begins like JSON is JSON, whatever
    a header says: no Avro message of ours begins so.

    Raises:
        UnreadableOutputError: It is neither, or nobody knows its schema.
        RegistryUnavailableError: The registry that knows its schema does not answer now.
    """
    if value.startswith(JSON_START):
        return value
    output = avro_output(value, unframe(value, headers), schemas)
    return enriched_json(output.payload, output.schema)


def avro_output(value: bytes, frame: Frame | Invalid | None, schemas: Schemas = None) -> AvroOutput:
    """Take an Avro message apart; `frame` is its framing. Raises what `output_json` raises."""
    if frame is None:
        raise UnreadableOutputError(
            f"the value is neither JSON nor framed Avro: it begins with {value[:_SHOWN].hex(' ')} "
            f"and there is no header {VALUE_SCHEMA_ID}"
            if value
            else "the value has no bytes"
        )
    if type(frame) is Invalid:
        raise UnreadableOutputError(frame.violations[0].detail)
    writer = _writer(frame, schemas)
    if writer.kind != "avro":
        raise UnreadableOutputError(
            f"{frame.schema_name()} is a {writer.kind} schema, not that of an enriched event"
        )
    return AvroOutput(frame.payload, *_schema(writer.text, frame.schema_name()))


def _writer(frame: Frame, schemas: Schemas) -> WriterSchema:
    """The schema that a message was written with."""
    found = _known(frame.schema, schemas)
    if found is None:
        raise UnreadableOutputError(f"{frame.schema_name()} is unknown: {_advice(frame, schemas)}")
    return found


def _known(name: int | UUID | bytes, schemas: Schemas) -> WriterSchema | None:
    text = schemas.get(name) if isinstance(schemas, Mapping) else None
    if text is not None:
        return WriterSchema("avro", text)
    if isinstance(name, bytes):
        schema = by_fingerprint(name)
        return None if schema is None else WriterSchema("avro", schema.text)
    if schemas is None or isinstance(schemas, Mapping):
        return None
    return find_schema(schemas, name)


def _advice(frame: Frame, schemas: Schemas) -> str:
    if isinstance(frame.schema, bytes):
        newest = versions(Role.ENRICHED)[-1]
        return (
            f"no schema up to contract version {newest} has it. If a newer program wrote the "
            "message, install that version, or pass the schema's text by its fingerprint"
        )
    if schemas is None:
        return "pass a Schema Registry that has it, or the schema's text by this id"
    if isinstance(schemas, Mapping):
        return f"it is not among the {len(schemas)} schemas that were passed"
    return "the Schema Registry does not have it. Is it the registry that the worker uses?"


@lru_cache(maxsize=64)
def _schema(text: str, name: str) -> tuple[RecordSchema, bytes]:
    """The parsed schema and its fingerprint."""
    try:
        schema = parsed(text, name)
        if isinstance(schema, dict) and "name" in schema:
            return schema, fingerprint(text)
    except SchemaFileError as error:
        raise UnreadableOutputError(str(error)) from error
    raise UnreadableOutputError(
        f"{name} is not the schema of a record, so not that of an enriched event or of an identify "
        "message: is this another topic?"
    )
