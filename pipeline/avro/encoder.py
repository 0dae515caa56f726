"""Encoders of outputs, which are generated once, at the start, from a schema.

What they write is what fastavro writes, byte for byte. Values are not checked: the core has made
them (contract §5).
"""

from __future__ import annotations

from typing import Final

from pipeline.avro.encoder_source import EncoderSource, Form, Given
from pipeline.core.formats import WriteEvent
from pipeline.errors import SchemaFileError

_OUR_FIELDS: Final = {
    "type": Given("event.type", Form.REPEATED),
    "event": Given("event.event", Form.JSON_STRING),
    "messageId": Given("event.message_id"),
    "userId": Given("event.user_id"),
    "anonymousId": Given("event.anonymous_id"),
    "timestamp": Given("typed.timestamp"),
    "originalTimestamp": Given("typed.original_timestamp"),
    "sentAt": Given("typed.sent_at"),
    "receivedAt": Given("typed.received_at"),
    "revenue": Given("typed.revenue"),
    "currency": Given("typed.currency", Form.REPEATED),
    "value": Given("typed.value"),
    "properties": Given("event.properties", Form.JSON),
    "traits": Given("event.traits", Form.JSON),
    "context": Given("event.context", Form.JSON),
    "integrations": Given("event.integrations", Form.JSON),
    "extra": Given('(b"{%b}" % others if others else None)', Form.JSON),
    "enrichment": Given("event.enrichment", Form.REPEATED_OBJECT),
}
"""Where the fields of published schemas are, in the arguments of `WriteEvent`."""


def event_writer(schema_text: str, prefix: bytes) -> WriteEvent:
    """Return a function that writes the prefix and an encoded event, or identify message.

    SchemaFileError for a schema with a field that no event has, or a type that no output needs.
    """
    source = EncoderSource(schema_text)
    items = [repr(prefix)]
    for field in source.schema["fields"]:
        given = _OUR_FIELDS.get(field["name"])
        if given is None:
            raise SchemaFileError(f"no event has the field {field['name']!r} of this Avro schema")
        items += source.items(field["type"], given)
    return source.compiled(source.add_function("event, others, typed", items))
