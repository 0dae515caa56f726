"""Outputs read back by tools, whatever form and framing each has.

A topic may hold several: it was JSON first, or its schema has got another id since.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.avro.framing import JSON_START, unframe
from pipeline.avro.schema_source import SchemaSource
from pipeline.core.origin import without_schema_id
from pipeline.core.reasons import Invalid
from pipeline.core.record import Headers, Record
from pipeline.errors import UnreadableOutputError

if TYPE_CHECKING:
    from pipeline.avro.output_json import AvroOutput


class OutputReader:
    """Reads enriched events and identify messages; fastavro is imported for the first that is Avro.

    `source` finds the schemas of a registry; without one, an id or GUID says nothing. What is
    neither JSON nor framed stays as it is.
    """

    def __init__(self, source: SchemaSource | None = None) -> None:
        self._source = source

    def avro(self, value: bytes | None, headers: Headers) -> AvroOutput | None:
        """Take an output apart; None unless it is framed.

        Raises UnreadableOutputError when its framing is broken or its schema can't be used, and
        TransportError when the registry does not answer.
        """
        if value is None or value.startswith(JSON_START):
            return None
        frame = unframe(value, headers)
        if frame is None:
            return None
        if type(frame) is not Invalid and self._source is None and type(frame.schema) is not bytes:
            name = frame.schema_name()
            raise UnreadableOutputError(f"{name} is unknown: schema_registry.url is not set")
        from pipeline.avro.output_json import avro_output  # noqa: PLC0415  see the class

        return avro_output(value, frame, self._source)

    def as_json(self, record: Record) -> Record:
        """Return an output in the form in which it would be written as JSON; raises as `avro`."""
        output = self.avro(record.value, record.headers)
        if output is None:
            return record
        from pipeline.avro.event_json import enriched_json  # noqa: PLC0415  see the class

        written = enriched_json(output.payload, output.schema)
        return record._replace(value=written, headers=without_schema_id(record.headers))
