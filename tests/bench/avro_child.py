"""Measures encoders of enriched events in this process, and prints bytes and CPU µs of each.

The library's encoders are handed a dict that is ready: making it from an event is not counted.
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import fastavro
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from pipeline.avro.encoder import event_writer
from pipeline.avro.framing import prefix_of_id
from pipeline.avro.published import parsed, published
from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.encode import encode_event
from pipeline.core.enriched_event import EnrichedEvent
from pipeline.core.formats import PLAIN_JSON, Formats, OutputForm, TypedValues
from pipeline.core.process import Processor
from pipeline.core.record import Record, Role
from pipeline.worker.memory_tuning import tune_memory
from tests.bench.core_child import fresh_us
from tests.bench.event_classes import GENERATED, event_classes
from tests.unit.avro.encoding import columns

JSON: Final = "encode: JSON"
OURS: Final = "encode: Avro, generated encoder"
FASTAVRO: Final = "encode: Avro, fastavro"
CLIENT: Final = "encode: Avro, the client's AvroSerializer"
TO_JSON: Final = "process(), JSON"
TO_AVRO: Final = "process(), Avro"
_NOW: Final = 1_900_000_000_000
_BATCH: Final = 5_000
_PREFIX: Final = prefix_of_id(1)

Sent = tuple[EnrichedEvent, bytes, TypedValues]
"""Arguments of an encoder."""
Figures = dict[str, dict[str, float]]


def _processor(formats: Formats) -> Processor:
    return Processor(ContractSettings(), Identity(app="bench", group="bench"), formats)


def _caught(records: Sequence[Record]) -> list[Sent]:
    """What an encoder is given for these records."""
    caught: list[Sent] = []

    def catch(*sent: Any) -> bytes:
        caught.append(sent)
        return b""

    processor = _processor(Formats(enriched=OutputForm(catch)))
    for record in records:
        processor.process(record, _NOW)
    return caught


def _fastavro(schema_text: str) -> Callable[[dict[str, Any]], bytes]:
    schema = parsed(schema_text)

    def write(fields: dict[str, Any]) -> bytes:
        stream = io.BytesIO()
        stream.write(_PREFIX)
        fastavro.schemaless_writer(stream, schema, fields)
        return stream.getvalue()

    return write


def _serializer(schema_text: str) -> Callable[[dict[str, Any]], bytes]:
    registry = SchemaRegistryClient.new_client({"url": "mock://"})
    serialize = AvroSerializer(registry, schema_text)
    context = SerializationContext("track.enriched", MessageField.VALUE)

    def write(fields: dict[str, Any]) -> bytes:
        value: bytes = serialize(fields, context)
        return value

    return write


def _measured(encode: Callable[[Any], bytes], given: Sequence[Any]) -> dict[str, float]:
    size, started = 0, time.process_time()
    for start in range(0, len(given), _BATCH):
        values = [encode(each) for each in given[start : start + _BATCH]]
        size += sum(map(len, values))
    return {"us": (time.process_time() - started) / len(given) * 1e6, "bytes": size / len(given)}


def _encoders(sent: Sequence[Sent]) -> Figures:
    text = published(Role.ENRICHED)
    ours = event_writer(text, _PREFIX)
    fields = [columns(*each) for each in sent]
    return {
        JSON: _measured(lambda each: encode_event(each[0], each[1]), sent),
        OURS: _measured(lambda each: ours(*each), sent),
        FASTAVRO: _measured(_fastavro(text), fields),
        CLIENT: _measured(_serializer(text), fields),
    }


def _processes(records: Sequence[Record]) -> Figures:
    """Measure `process()` with outputs in JSON and in Avro."""
    avro = Formats(enriched=OutputForm(event_writer(published(Role.ENRICHED), _PREFIX)))
    figures: Figures = {}
    for name, formats in ((TO_JSON, PLAIN_JSON), (TO_AVRO, avro)):
        process = partial(_processor(formats).process, now=_NOW)
        sizes = [len(each.value or b"") for record in records for each in process(record)]
        figures[name] = {"us": fresh_us(process, records), "bytes": sum(sizes) / len(sizes)}
    return figures


def main() -> None:
    """Measure so many generated events as the argument says."""
    tune_memory()
    records = dict(event_classes(int(sys.argv[1])))[GENERATED].records
    print(json.dumps(_encoders(_caught(records)) | _processes(records)))  # noqa: T201  read by the parent


if __name__ == "__main__":
    main()
