"""A table of hostile framed records, beside that of plain ones in `tests/hostile.py`.

A row says what a record holds and what has to become of it with `input.format = auto` and the
schemas of `SCHEMAS`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

from pipeline.avro.framed_records import FramedReader
from pipeline.avro.framing import guid_header, prefix_of_fingerprint, prefix_of_id
from pipeline.avro.schema_source import WriterSchema
from pipeline.core.contract import ContractSettings
from pipeline.core.headers import VALUE_SCHEMA_ID, TrackHeader
from pipeline.core.record import Headers
from tests.hostile import EVENT, OK, Hostile, batch, padded
from tests.unit.avro.schemas_of_records import KnownSchemas

TRACK: Final = 1
BATCH: Final = 2
JSON: Final = 3
PROTOBUF: Final = 4
TREE: Final = 5
ZERO_BYTES: Final = 6
LONG_NAMES: Final = 7
BROKEN: Final = 8
TEXT: Final = 9
GUID: Final = UUID("89791762-2336-4186-9674-299b90a802e2")
_UNKNOWN_GUID: Final = UUID(int=1)
_NAME: Final = "n" * 1_000


def _record(name: str, **fields: Any) -> dict[str, Any]:
    listed = [{"name": field, "type": kind} for field, kind in fields.items()]
    return {"type": "record", "name": name, "fields": listed}


_TRACK: Final = _record(
    "Track",
    event=["null", "string"],
    userId=["null", "string"],
    properties=_record(
        "Properties",
        revenue=["null", {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 9}],
        free=["null", "string", "double", {"type": "map", "values": "string"}],
    ),
)
_NODE: Final = _record("Node", next=["null", "Node"])
SCHEMAS: Final[dict[int | UUID, Any]] = {
    TRACK: _TRACK,
    GUID: _TRACK,
    BATCH: _record("Batch", batch={"type": "array", "items": _TRACK}),
    JSON: WriterSchema("json", '{"type": "object"}'),
    PROTOBUF: WriterSchema("protobuf", 'syntax = "proto3"; message Track {}'),
    TREE: _record("Tree", event="string", userId="string", properties=_NODE),
    ZERO_BYTES: _record("Zero", properties={"type": "array", "items": "null"}),
    LONG_NAMES: _record(
        "Long", properties={"type": "array", "items": _record("Item", **{_NAME: "boolean"})}
    ),
    BROKEN: WriterSchema("avro", '{"type": "record", "name": "Track"'),
    TEXT: "string",
}
"""Every schema that the registry of these records knows."""


def framed_reader(settings: ContractSettings) -> FramedReader:
    """Make what reads the rows; the settings are completed by `input.format = auto`."""
    reading = settings.input.model_copy(update={"format": "auto"})
    return FramedReader(settings.model_copy(update={"input": reading}), KnownSchemas(SCHEMAS))


def framed(data: bytes, schema: int = TRACK) -> bytes:
    """Put a schema id in front of a value."""
    return prefix_of_id(schema) + data


def track(revenue: bytes = b"\x00", free: bytes = b"\x00") -> bytes:
    """A good event in Avro; `revenue` and `free` are what their unions hold."""
    return b"\x02\x1eOrder Completed\x02\x04u1" + revenue + free


def items(*data: bytes) -> bytes:
    """An Avro array of a few items, in one block."""
    return bytes([2 * len(data)]) + b"".join(data) + b"\x00"


_GOOD: Final = track()
_NO_EVENT: Final = b"\x00\x02\x04u1\x00\x00"
_LONG_MAX: Final = b"\xfe" + b"\xff" * 8 + b"\x01"
_LONG_MIN: Final = b"\xff" * 9 + b"\x01"


def _row(name: str, value: bytes | None, *outcomes: str, headers: Headers = ()) -> Hostile:
    return Hostile(f"framed_{name}", lambda: value, outcomes, headers)


def _framings() -> Iterator[Hostile]:
    by_guid, forged = guid_header(GUID), (VALUE_SCHEMA_ID, b"forged")
    yield _row("track", framed(_GOOD), OK)
    yield _row("track_by_header", _GOOD, OK, headers=[by_guid])
    yield _row("track_by_guid_in_front", b"\x01" + GUID.bytes + _GOOD, OK)
    yield _row("track_by_id_in_header", _GOOD, OK, headers=[(VALUE_SCHEMA_ID, prefix_of_id(TRACK))])
    yield _row("two_headers", _GOOD, OK, headers=[forged, by_guid])
    yield _row("two_headers_forged_last", _GOOD, "invalid_avro", headers=[by_guid, forged])
    yield _row("null_header", framed(_GOOD), OK, headers=[(VALUE_SCHEMA_ID, None)])
    yield _row("null_header_and_json", EVENT, OK, headers=[(VALUE_SCHEMA_ID, None)])
    yield _row("empty_header", _GOOD, "invalid_avro", headers=[(VALUE_SCHEMA_ID, b"")])
    yield _row("header_and_prefix", framed(_GOOD), "invalid_avro", headers=[by_guid])
    yield _row("header_and_json", EVENT, "invalid_avro", headers=[by_guid])
    yield _row("header_without_value", None, "null_value", headers=[by_guid])
    yield _row("header_and_no_bytes", b"", "empty_value", headers=[by_guid])
    yield _row("header_of_no_schema", _GOOD, "schema_unknown", headers=[guid_header(_UNKNOWN_GUID)])
    yield _row("zero_byte", b"\x00", "invalid_avro")
    yield _row("zero_bytes", bytes(4), "invalid_avro")
    yield _row("one_byte", b"\x01", "invalid_avro")
    yield _row("id_without_value", framed(b""), "invalid_avro")
    yield _row("id_0", framed(_GOOD, 0), "schema_unknown")
    yield _row("id_highest", framed(_GOOD, 2**31 - 1), "schema_unknown")
    yield _row("id_negative", b"\x00\xff\xff\xff\xff" + _GOOD, "schema_unknown")
    yield _row("single_object_cut_off", b"\xc3\x01", "invalid_avro")
    yield _row("single_object", prefix_of_fingerprint(bytes(8)) + _GOOD, "schema_unknown")
    yield _row("plain_json", EVENT, OK)
    yield _row("plain_rubbish", b"\xff", "invalid_utf8")
    yield _row("avro_file", b"Obj\x01", "invalid_json")
    yield _row("redriven_json", EVENT, OK, headers=[(TrackHeader.REDRIVE, b"id")])


def _schemas() -> Iterator[Hostile]:
    yield _row("json", framed(EVENT, JSON), OK)
    yield _row("json_of_nothing", framed(b"", JSON), "empty_value")
    yield _row("json_broken", framed(EVENT[:-1], JSON), "invalid_json")
    yield _row("json_not_utf_8", framed(b'"\xff"', JSON), "invalid_utf8")
    yield _row("json_too_large", framed(padded(1_048_577), JSON), "event_too_large")
    yield _row("json_batch", framed(batch(EVENT, b"1"), JSON), OK, "not_an_object")
    yield _row("json_framed_twice", framed(framed(EVENT, JSON), JSON), "invalid_json")
    yield _row("protobuf", framed(b"\x00\x0a\x01e", PROTOBUF), "invalid_avro")
    yield _row("broken_schema", framed(_GOOD, BROKEN), "invalid_avro")
    yield _row("text", framed(b"\x08text", TEXT), "not_an_object")
    yield _row("text_of_json", framed(b"\x04{}", TEXT), "not_an_object")


def _corrupt() -> Iterator[Hostile]:
    for size in (1, 2, 10, len(_GOOD) - 1):
        yield _row(f"cut_off_at_{size}", framed(_GOOD[:size]), "invalid_avro")
    yield _row("byte_too_many", framed(_GOOD + b"\x00"), "invalid_avro")
    yield _row("framed_twice", framed(framed(_GOOD)), "invalid_avro")
    yield _row("rubbish", framed(b"\xff" * 100), "invalid_avro")
    yield _row("length_of_2_to_the_62", framed(b"\x02" + _LONG_MAX + b"x"), "invalid_avro")
    yield _row("length_negative", framed(b"\x02" + _LONG_MIN + b"x"), "invalid_avro")
    yield _row("length_of_100_bytes", framed(b"\x02" + b"\x80" * 100), "invalid_avro")
    yield _row("text_not_utf_8", framed(b"\x02\x02\xff\x02\x04u1\x00\x00"), "invalid_avro")
    yield _row("branch_of_nothing", framed(b"\x06" + _GOOD), "invalid_avro")
    yield _row("nan", framed(track(free=b"\x04" + b"\x00" * 6 + b"\xf8\x7f")), "invalid_avro")
    yield _row("items_10_to_the_18", framed(_LONG_MAX, BATCH), "invalid_avro")
    yield _row("items_negative", framed(_LONG_MIN + b"\x00\x00", BATCH), "invalid_avro")
    yield _row("items_of_no_bytes", framed(_LONG_MAX + b"\x00", ZERO_BYTES), "invalid_avro")
    yield _row("entries_10_to_the_18", framed(track(free=b"\x06" + _LONG_MAX)), "invalid_avro")
    deep = b"\x02e\x04u1" + b"\x02" * 100_000
    yield _row("nested_100000_times", framed(deep, TREE), "too_deep")
    grown = b"\x80\x89\x7a" + bytes(1_000_001)
    yield _row("grows_to_a_gigabyte", framed(grown, LONG_NAMES), "record_too_large")
    digits = b"\x02\x80\x89\x7a" + b"\x7f" * 1_000_000
    yield _row("decimal_of_a_million_bytes", framed(track(revenue=digits)), "invalid_avro")


def _events() -> Iterator[Hostile]:
    hundred = b"\x02\x0a\x17\x48\x76\xe8\x00"
    yield _row("revenue", framed(track(revenue=b"\x02\x06\x0f\x42\x40")), OK)
    yield _row("revenue_zero_bytes", framed(track(revenue=b"\x02\x00")), OK)
    yield _row("revenue_of_60_digits", framed(track(b"\x02\x32" + b"\x7f" * 25)), "revenue_invalid")
    yield _row("revenue_of_a_hundred", framed(track(revenue=hundred)), OK)
    yield _row("no_event", framed(_NO_EVENT), "event_not_defined")
    yield _row("text_of_nul", framed(track(free=b"\x02\x02\x00")), OK)
    yield _row("batch", framed(items(_GOOD, _GOOD), BATCH), OK, OK)
    yield _row("batch_of_none", framed(b"\x00", BATCH), "empty_batch")
    yield _row("batch_of_one_bad", framed(items(_NO_EVENT), BATCH), "event_not_defined")
    yield _row(
        "batch_one_bad_item",
        framed(items(_GOOD, _NO_EVENT, _GOOD), BATCH),
        *(OK, "event_not_defined", OK),
    )
    yield _row("batch_cut_off", framed(items(_GOOD, _GOOD)[:-1], BATCH), "invalid_avro")
    many = b"\xc0\xb8\x02" + _NO_EVENT * 20_000 + b"\x00"
    yield _row("batch_of_20000", framed(many, BATCH), "batch_too_large")


FRAMED_HOSTILE: Final[tuple[Hostile, ...]] = (
    *_framings(),
    *_schemas(),
    *_corrupt(),
    *_events(),
)
