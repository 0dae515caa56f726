"""Encoders of outputs, which are generated once, at the start, from a schema.

What they write is what fastavro writes, byte for byte. Values are not checked: the core has made
them (contract §5).
"""

from __future__ import annotations

from typing import Final

from pipeline.avro.encoder_source import EncoderSource, Form, Operand
from pipeline.core.formats import WriteEvent
from pipeline.errors import SchemaFileError

_OUR_FIELDS: Final = {
    "type": Operand("event.type", Form.REPEATED),
    "event": Operand("event.event", Form.JSON_STRING),
    "messageId": Operand("event.message_id"),
    "userId": Operand("event.user_id"),
    "anonymousId": Operand("event.anonymous_id"),
    "timestamp": Operand("typed.timestamp"),
    "originalTimestamp": Operand("typed.original_timestamp"),
    "sentAt": Operand("typed.sent_at"),
    "receivedAt": Operand("typed.received_at"),
    "revenue": Operand("typed.revenue"),
    "currency": Operand("typed.currency", Form.REPEATED),
    "value": Operand("typed.value"),
    "properties": Operand("event.properties", Form.JSON),
    "traits": Operand("event.traits", Form.JSON),
    "context": Operand("event.context", Form.JSON),
    "integrations": Operand("event.integrations", Form.JSON),
    "extra": Operand('(b"{%b}" % others if others else None)', Form.JSON),
    "enrichment": Operand("event.enrichment", Form.REPEATED_OBJECT),
}
"""Expression that finds each field of the published schemas in the arguments of `WriteEvent`."""


def event_writer(schema_text: str, prefix: bytes) -> WriteEvent:
    """Return a function that writes the prefix and an encoded event, or identify message.

    SchemaFileError for a schema with a field that no event has, or a type that no output needs.
    """
    source = EncoderSource(schema_text)
    items = [repr(prefix)]
    for field in source.schema["fields"]:
        operand = _OUR_FIELDS.get(field["name"])
        if operand is None:
            raise SchemaFileError(f"no event has the field {field['name']!r} of this Avro schema")
        items += source.items(field["type"], operand)
    return source.compiled(source.add_function("event, others, typed", items))
