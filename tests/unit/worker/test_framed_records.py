"""A worker on a raw topic of framed records, in memory."""

from __future__ import annotations

import json
from typing import Any, Final

from pipeline.avro.framed_records import FramedReader
from pipeline.avro.framing import guid_header, prefix_of_id
from pipeline.avro.schema_source import SchemaSource
from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.formats import Formats
from pipeline.core.headers import VALUE_SCHEMA_ID, TrackHeader
from pipeline.core.process import Processor
from pipeline.core.record import Headers, Output, Role
from pipeline.worker.memory_broker import MemoryBroker
from tests.support import outcomes
from tests.unit.avro.schemas_of_records import BATCH, EVENT, GUID, ID, KnownSchemas, body
from tests.unit.worker.harness import work

BATCH_ID: Final = 8
SENT_AT: Final = 1_700_000_000_000


def _event(name: str, revenue: str | None = None) -> dict[str, Any]:
    properties: dict[str, Any] = {"revenue": revenue, "currency": None, "tags": []}
    return {"event": name, "userId": "u1", "properties": properties}


def _contract(source: SchemaSource, form: str = "avro") -> Processor:
    settings = ContractSettings.model_validate(
        {"input": {"format": form}, "accept_origin_headers": True}
    )
    reader = FramedReader(settings, source)
    return Processor(settings, Identity(app="test", group="g"), Formats(read=reader))


def _filled(*records: tuple[bytes, Headers]) -> MemoryBroker:
    broker = MemoryBroker()
    for value, headers in records:
        broker.append(value, key=b"u1", headers=headers, timestamp=SENT_AT)
    return broker


def _values(outputs: list[Output], role: Role) -> list[Any]:
    return [json.loads(output.value or b"") for output in outputs if output.role is role]


def test_a_framed_batch_call_is_split_into_its_events() -> None:
    """One bad item is a dead letter of its own, as JSON that names no schema."""
    call = body(BATCH, {"batch": [_event("a"), _event(" "), _event("b")]})
    broker = _filled((call, [guid_header(GUID), ("own", b"1")]))
    work(broker, 1, contract=_contract(KnownSchemas({GUID: BATCH})))
    assert outcomes(tuple(broker.outputs)) == ("enriched", "event_blank", "enriched")
    assert [event["event"] for event in _values(broker.outputs, Role.ENRICHED)] == ["a", "b"]
    (dead_letter,) = _values(broker.outputs, Role.DEAD_LETTER)
    assert dead_letter == {"batch": [_event(" ")]}
    for output in broker.outputs:
        assert ("own", b"1") in output.headers
        assert VALUE_SCHEMA_ID not in dict(output.headers)


def test_a_redriven_item_is_read_as_json() -> None:
    """A repaired dead letter of a framed batch call is plain JSON in a topic of framed records."""
    contract = _contract(KnownSchemas({BATCH_ID: BATCH}))
    framed = prefix_of_id(BATCH_ID) + body(BATCH, {"batch": [_event("a"), _event(" ")]})
    broker = _filled((framed, ()))
    work(broker, 1, contract=contract)
    dead_letter = broker.outputs[1]
    repaired = (dead_letter.value or b"").replace(b'" "', b'"mended"')
    redriven: Headers = [
        (TrackHeader.REDRIVE, b"id"),
        (TrackHeader.ORIGIN, b"track.raw/0/0/1"),
    ]
    broker.append(repaired, dead_letter.key, redriven, SENT_AT)
    work(broker, 1, contract=contract)
    assert outcomes(tuple(broker.outputs[2:])) == ("enriched",)
    assert dict(broker.outputs[2].headers)[TrackHeader.SOURCE] == b"track.raw/0/0/1"


def test_a_redriven_record_is_read_with_its_schema() -> None:
    """A record whose schema was unknown has its bytes and its header in the dead letter."""
    source = KnownSchemas({})
    contract = _contract(source)
    broker = _filled((body(EVENT, _event("a")), [guid_header(GUID)]))
    work(broker, 1, contract=contract)
    assert outcomes(tuple(broker.outputs)) == ("schema_unknown",)
    dead_letter = broker.outputs[0]
    source.register(GUID, EVENT)
    broker.append(dead_letter.value, dead_letter.key, dead_letter.headers, SENT_AT)
    work(broker, 1, contract=contract)
    assert outcomes(tuple(broker.outputs[1:])) == ("enriched",)
    assert VALUE_SCHEMA_ID not in dict(broker.outputs[1].headers)


def test_an_outage_of_the_registry_is_waited_for() -> None:
    """Each attempt says why it waits; the events that come after it are all there, once."""
    source = KnownSchemas({ID: EVENT}, outages=2)
    broker = _filled(*[(prefix_of_id(ID) + body(EVENT, _event(name)), ()) for name in "abc"])
    meter = work(broker, 3, contract=_contract(source))
    assert meter.recoveries == [("soft reset", "the Schema Registry does not answer")] * 2
    assert meter.recovered_after == [2]
    assert meter.crashes == []
    assert [event["event"] for event in _values(broker.outputs, Role.ENRICHED)] == ["a", "b", "c"]


def test_framed_and_plain_records_share_a_topic() -> None:
    """With input.format = auto senders may change their format one by one."""
    broker = _filled(
        (json.dumps(_event("plain")).encode(), ()),
        (prefix_of_id(ID) + body(EVENT, _event("framed")), ()),
        (b"\x00", ()),
    )
    work(broker, 3, contract=_contract(KnownSchemas({ID: EVENT}), "auto"))
    assert outcomes(tuple(broker.outputs)) == ("enriched", "enriched", "invalid_avro")


def test_plain_records_of_a_framed_topic_are_dead_letters() -> None:
    """With input.format = avro a record without a schema is rejected, whatever it holds."""
    broker = _filled((json.dumps(_event("plain")).encode(), ()))
    work(broker, 1, contract=_contract(KnownSchemas({ID: EVENT})))
    assert outcomes(tuple(broker.outputs)) == ("invalid_avro",)
