"""Dead letters of framed raw records, as the worker writes them."""

from __future__ import annotations

from functools import partial
from typing import Any, Final
from uuid import UUID

from pipeline.avro.framed_records import FramedReader
from pipeline.avro.framing import guid_header, prefix_of_id
from pipeline.core.contract import ContractSettings
from pipeline.core.formats import Formats
from pipeline.core.process import Processor
from pipeline.core.record import Headers, Record, Role
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.header_formats import reader_of
from pipeline.dlq.reprocess import Reprocessor
from pipeline.dlq.values import of_dead_letters
from tests.unit.avro.schemas_of_records import BATCH, EVENT, GUID, ID, KnownSchemas, body
from tests.unit.dlq.dead_letters import IDENTITY, NOW, TOPIC

AVRO: Final = ContractSettings.model_validate({"input": {"format": "avro"}})
BATCH_ID: Final = 8
SCHEMAS: Final[dict[int | UUID, Any]] = {ID: EVENT, GUID: EVENT, BATCH_ID: BATCH}


def sent(name: str = "", **properties: Any) -> dict[str, Any]:
    """An event without a user id unless it has a name; the rules reject it."""
    plain = {"revenue": None, "currency": None, "tags": [], **properties}
    return {"event": name or "Order", "userId": name or None, "properties": plain}


def by_id(*, event: dict[str, Any] | None = None) -> Record:
    """A record with a schema id as its prefix."""
    return _raw(prefix_of_id(ID) + body(EVENT, event or sent()))


def by_guid() -> Record:
    """A record whose schema a header names."""
    return _raw(body(EVENT, sent()), (guid_header(GUID), ("trace", b"1")))


def batch(*events: dict[str, Any]) -> Record:
    """A framed batch call."""
    return _raw(prefix_of_id(BATCH_ID) + body(BATCH, {"batch": list(events)}))


def formats(source: KnownSchemas | None = None) -> Formats:
    """Formats that a worker has which reads framed records only."""
    reader = FramedReader(AVRO, source or KnownSchemas(SCHEMAS))
    return Formats(read=reader, read_any=reader.read_any)


def reprocessor(source: KnownSchemas | None = None) -> Reprocessor:
    """The rules for framed records."""
    return Reprocessor(AVRO, IDENTITY, partial(formats, source))


def dead_letters(record: Record, source: KnownSchemas | None = None) -> list[DeadLetter]:
    """The dead letters of a record, as the tools read them from their topic."""
    outputs = Processor(AVRO, IDENTITY, formats()).process(record, NOW)
    as_dead_letter = reader_of(of_dead_letters(formats(source)).read)
    return [
        as_dead_letter(Record(each.value, each.key, each.headers, each.timestamp, TOPIC, 0, number))
        for number, each in enumerate(outputs)
        if each.role is Role.DEAD_LETTER
    ]


def dead_letter(record: Record, source: KnownSchemas | None = None) -> DeadLetter:
    """The one dead letter of a record."""
    (found,) = dead_letters(record, source)
    return found


def _raw(value: bytes, headers: Headers = ()) -> Record:
    return Record(value, b"key", headers, NOW - 1000, "raw", 2, 7)
