"""Schemas of raw records, the bytes of records, and sources that know the schemas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import fastavro

from pipeline.avro.framed_records import FramedReader
from pipeline.avro.framing import prefix_of_id
from pipeline.avro.schema_source import WriterSchema
from pipeline.core.contract import ContractSettings
from pipeline.core.reasons import Invalid
from pipeline.errors import RegistryUnavailableError
from tests.unit.avro.encoding import written_by_fastavro

ID: Final = 7
"""Id of the schema that most tests use."""
GUID: Final = UUID("89791762-2336-4186-9674-299b90a802e2")

EVENT: Final = {
    "type": "record",
    "name": "Track",
    "namespace": "com.acme",
    "fields": [
        {"name": "event", "type": "string"},
        {"name": "userId", "type": ["null", "string"], "default": None},
        {
            "name": "properties",
            "type": {
                "type": "record",
                "name": "Properties",
                "fields": [
                    {
                        "name": "revenue",
                        "type": [
                            "null",
                            {
                                "type": "bytes",
                                "logicalType": "decimal",
                                "precision": 12,
                                "scale": 2,
                            },
                        ],
                    },
                    {"name": "currency", "type": ["null", "string"]},
                    {"name": "tags", "type": {"type": "array", "items": "string"}},
                ],
            },
        },
    ],
}
"""A small track event."""

BATCH: Final = {
    "type": "record",
    "name": "Batch",
    "namespace": "com.acme",
    "fields": [{"name": "batch", "type": {"type": "array", "items": EVENT}}],
}
"""A batch call."""


class KnownSchemas:
    """A schema source that knows some schemas, and does not answer the first few times."""

    def __init__(
        self, schemas: Mapping[int | UUID, WriterSchema | Any], *, outages: int = 0
    ) -> None:
        self._schemas = {name: as_registered(schema) for name, schema in schemas.items()}
        self.outages = outages
        self.asked: list[int | UUID] = []

    def register(self, name: int | UUID, schema: WriterSchema | Any) -> None:
        """Make a schema known."""
        self._schemas[name] = as_registered(schema)

    def by_id(self, schema_id: int) -> WriterSchema | None:
        """Find a schema by its id."""
        return self._find(schema_id)

    def by_guid(self, guid: UUID) -> WriterSchema | None:
        """Find a schema by its GUID."""
        return self._find(guid)

    def _find(self, name: int | UUID) -> WriterSchema | None:
        self.asked.append(name)
        if self.outages:
            self.outages -= 1
            raise RegistryUnavailableError("the Schema Registry does not answer")
        return self._schemas.get(name)


def as_registered(schema: WriterSchema | Any) -> WriterSchema:
    """Return a schema as a registry has it."""
    return schema if isinstance(schema, WriterSchema) else WriterSchema("avro", json.dumps(schema))


def body(schema: Any, value: Any) -> bytes:
    """Write a value with fastavro, without framing."""
    return written_by_fastavro(fastavro.parse_schema(schema), value)


def reader_of(schema: WriterSchema | Any, **settings: Any) -> FramedReader:
    """Make a reader to which one schema is known, by id and GUID."""
    given = ContractSettings.model_validate({"input": {"format": "auto"}, **settings})
    return FramedReader(given, KnownSchemas({ID: schema, GUID: schema}))


def read_body(schema: WriterSchema | Any, data: bytes, **settings: Any) -> bytes | Invalid:
    """Read a record of a schema that is named by its id."""
    return reader_of(schema, **settings)(prefix_of_id(ID) + data, ())


def rejection(found: bytes | Invalid) -> tuple[str, str]:
    """Return code and detail of a record that can't be read."""
    assert isinstance(found, Invalid), found
    (violation,) = found.violations
    assert len(violation.detail) <= 200, violation.detail
    return violation.code.value, violation.detail


def text_of_value(schema: Any, value: Any) -> str:
    """Write a value with fastavro and read it as JSON text, which must be possible."""
    text = read_body(schema, body(schema, value))
    assert isinstance(text, bytes), text
    return text.decode()


def record_of(**fields: Any) -> dict[str, Any]:
    """Return a schema of a record with these fields."""
    listed = [{"name": name, "type": kind} for name, kind in fields.items()]
    return {"type": "record", "name": "R", "fields": listed}
