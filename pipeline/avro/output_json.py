"""Enriched events and identify messages of any form and framing, read by the schema that they name.

A topic may hold several forms: it was JSON first, or its schema has got another id since. fastavro
is only imported for the first output that is Avro.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

from pipeline.avro.framing import Frame, unframe
from pipeline.avro.schema_source import SchemaSource
from pipeline.core.origin import without_schema_id
from pipeline.core.reasons import Invalid
from pipeline.core.record import Headers, Record
from pipeline.errors import SchemaFileError, UnreadableOutputError

if TYPE_CHECKING:
    from pipeline.avro.event_json import Schema

_JSON: Final = b"{"
"""First byte of an output that is JSON. Avro begins with the length of `type`, another byte."""


class OutputSchema(NamedTuple):
    """A schema that outputs were written with."""

    parsed: Schema
    fingerprint: bytes


class AvroOutput(NamedTuple):
    """The Avro data of an output, without its framing."""

    payload: bytes
    schema: OutputSchema


class OutputReader:
    """Reads outputs by the schemas that they name.

    `source` finds the schemas of a registry; without one, single-object encoding alone can be read.
    """

    def __init__(self, source: SchemaSource | None = None) -> None:
        self._source = source
        self._schemas: dict[int | UUID | bytes, OutputSchema | str] = {}

    def avro(self, value: bytes | None, headers: Headers) -> AvroOutput | None:
        """Take an output apart; None for JSON, and for a tombstone.

        Raises UnreadableOutputError when its framing is broken or its schema can't be used, and
        TransportError when the registry does not answer.
        """
        if value is None or value.startswith(_JSON):
            return None
        frame = unframe(value, headers)
        if frame is None:
            return None
        if type(frame) is Invalid:
            raise UnreadableOutputError(frame.violations[0].detail)
        return AvroOutput(frame.payload, self._schema(frame))

    def as_json(self, record: Record) -> Record:
        """Return an output in the form in which it would be written as JSON; raises as `avro`."""
        value = record.value
        if value is None or value.startswith(_JSON):
            return record
        output = self.avro(value, record.headers)
        if output is None:
            return record
        from pipeline.avro.event_json import enriched_json  # noqa: PLC0415  see above

        written = enriched_json(output.payload, output.schema.parsed)
        return record._replace(value=written, headers=without_schema_id(record.headers))

    def _schema(self, frame: Frame) -> OutputSchema:
        found = self._schemas.get(frame.schema)
        if found is None:
            found = self._schemas[frame.schema] = self._looked_up(frame)
        if isinstance(found, str):
            raise UnreadableOutputError(found)
        return found

    def _looked_up(self, frame: Frame) -> OutputSchema | str:
        """Return the schema that a frame names, or a sentence that says why it can't be used."""
        from pipeline.avro.published import by_fingerprint  # noqa: PLC0415  see above

        name = frame.schema_name()
        if isinstance(frame.schema, bytes):
            published = by_fingerprint(frame.schema)
            if published is None:
                return f"its {name} is not that of a published schema of this version or an older"
            return _output_schema(published.text, name)
        if self._source is None:
            return f"its {name} can't be looked up: schema_registry.url is not set"
        schema, source = frame.schema, self._source
        registered = source.by_id(schema) if isinstance(schema, int) else source.by_guid(schema)
        if registered is None:
            return f"its {name} is unknown to the registry"
        if registered.kind != "avro" or registered.references:
            return f"its {name} is not that of an enriched event or an identify message"
        return _output_schema(registered.text, name)


def _output_schema(text: str, name: str) -> OutputSchema | str:
    from pipeline.avro.published import fingerprint, parsed  # noqa: PLC0415  see above

    try:
        schema = parsed(text, name)
        if not isinstance(schema, dict):
            return f"its {name} is not that of a record"
        return OutputSchema(schema, fingerprint(text))
    except SchemaFileError as error:
        return str(error)
