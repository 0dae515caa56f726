"""What a registry says about schemas, checked: an answer may be anything."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple, cast
from uuid import UUID

from pipeline.avro.schema_source import MAX_SCHEMA_ID, SchemaKind

if TYPE_CHECKING:  # the client is an extra
    from confluent_kafka.schema_registry import RegisteredSchema as ConfluentSchema
    from confluent_kafka.schema_registry import Schema

_KINDS: Final = ("avro", "json", "protobuf")


class MalformedAnswerError(ValueError):
    """An answer of the registry that has another form than its API promises; the text says how."""


class RegisteredSchema(NamedTuple):
    """A schema as a version of a subject."""

    subject: str
    version: int
    schema_id: int
    guid: UUID | None
    """None when the registry has no GUIDs."""
    kind: SchemaKind
    text: str


def registered(answer: ConfluentSchema, subject: str) -> RegisteredSchema:
    """Return a registered schema; MalformedAnswerError when something of it is missing or wrong."""
    return RegisteredSchema(
        subject,
        whole_number(answer.version, "version", 1),
        whole_number(answer.schema_id, "id", 0),
        _guid(answer.guid),
        kind_of(answer.schema),
        text_of(answer.schema),
    )


def whole_number(value: object, name: str, least: int) -> int:
    """Return the number; MalformedAnswerError when it is none that a registry gives."""
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= MAX_SCHEMA_ID:
        return value
    raise MalformedAnswerError(f"its answer has no valid {name}")


def text_of(schema: Schema) -> str:
    """Return the text of a schema; MalformedAnswerError when there is none that can be one."""
    text: object = schema.schema_str
    if not isinstance(text, str) or not text:
        raise MalformedAnswerError("its answer has no schema")
    if kind_of(schema) != "protobuf":
        try:
            json.loads(text)
        except ValueError:
            raise MalformedAnswerError("the schema in its answer is not JSON") from None
    return text


def kind_of(schema: Schema) -> SchemaKind:
    """Return the language of a schema; MalformedAnswerError for one that is not known."""
    name: object = schema.schema_type
    kind = name.lower() if isinstance(name, str) else ""
    if kind in _KINDS:
        return cast("SchemaKind", kind)
    raise MalformedAnswerError("its answer has an unknown schemaType")


def _guid(value: object) -> UUID | None:
    if value is None:
        return None
    try:
        return UUID(str(value))
    except ValueError:
        raise MalformedAnswerError("its answer has no valid guid") from None
