"""An Avro message of an output topic back as JSON: what the worker would have written as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain
from typing import Any, Final

import msgspec
import pytest

from pipeline.avro.event_json import enriched_json
from pipeline.core.record import Output, Role
from pipeline.errors import UnreadableOutputError
from tests.oracle.corpus import files, found, generated, hostile, values
from tests.support import process
from tests.unit.avro.encoding import written_by_fastavro
from tests.unit.avro.event_schemas import PARSED, parsed, with_column, without_columns
from tests.unit.avro.written import columns, written

TRACK: Final = PARSED[Role.ENRICHED]
SALE: Final = (
    b'{"type":"track","event":"Sale","messageId":"m","userId":"u",'
    b'"timestamp":"2015-12-12T19:11:01.249Z","properties":{"revenue": 19.90,"currency":"USD"},'
    b'"context":{},"enrichment":{"timestampSource":"given"},"plan":"pro","n":1e3}'
)
_GENERATED: Final = 300


def _outputs() -> Iterator[Output]:
    for case in chain(hostile(), values(), files(), generated(5, _GENERATED), found()):
        outputs = process(case.record, **case.settings)
        yield from (output for output in outputs if output.role in PARSED)


def _with_plain_name(value: bytes | None) -> bytes:
    """A JSON output whose event name is spelled without needless escapes, as Avro has it."""
    members = msgspec.json.decode(value or b"", type=dict[str, msgspec.Raw])
    if "event" not in members:
        return value or b""
    name = bytes(members["event"])
    return (value or b"").replace(name, msgspec.json.encode(msgspec.json.decode(name)), 1)


def test_the_whole_corpus_comes_back_byte_for_byte() -> None:
    """Every enriched event and identify message, but for the escapes in an event's name."""
    roles = set()
    for output in _outputs():
        schema = PARSED[output.role]
        back = enriched_json(written(output.value or b"", schema), schema)
        assert back == _with_plain_name(output.value)
        roles.add(output.role)
    assert roles == set(PARSED)


def test_times_of_all_years_are_exact() -> None:
    """The first and the last millisecond of the contract, and one before 1970."""
    times = ("0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z")
    for time in times:
        sale = SALE.replace(b"2015-12-12T19:11:01.249Z", time.encode())
        assert enriched_json(written(sale, TRACK), TRACK) == sale


def test_a_column_of_a_newer_schema_is_kept() -> None:
    """A new column follows our fields, in front of what the sender added."""
    newer = with_column(Role.ENRICHED, "region", ["null", "string"], before="properties")
    body = written_by_fastavro(newer, columns(SALE) | {"region": "eu"})
    assert enriched_json(body, newer) == SALE.replace(b',"plan"', b',"region":"eu","plan"')


@pytest.mark.parametrize(
    ("kind", "column", "json"),
    [
        ("long", 2**63 - 1, b"9223372036854775807"),
        ({"type": "array", "items": "string"}, ["a"], b'["a"]'),
        (
            {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 2},
            Decimal("123456789012345678.90"),
            b"123456789012345678.90",
        ),
        ({"type": "map", "values": "boolean"}, {"b": True}, b'{"b":true}'),
        (
            {"type": "long", "logicalType": "timestamp-millis"},
            datetime(2026, 1, 2, tzinfo=UTC),
            b'"2026-01-02T00:00:00Z"',
        ),
    ],
)
def test_new_columns_of_all_kinds_are_json(kind: Any, column: Any, json: bytes) -> None:
    """Numbers with every digit, arrays and objects as what they are."""
    newer = with_column(Role.ENRICHED, "added", kind, before="extra")
    body = written_by_fastavro(newer, columns(SALE) | {"added": column})
    assert b',"added":%b,"plan"' % json in enriched_json(body, newer)


def test_a_column_that_an_older_schema_lacks_is_absent() -> None:
    """Nothing is invented for it."""
    older = without_columns(Role.ENRICHED, "extra", "sentAt", "value")
    assert enriched_json(written(SALE, older), older) == SALE.replace(b',"plan":"pro","n":1e3', b"")


def test_what_a_newer_enrichment_says_is_kept() -> None:
    """After what this version knows of it, and only where it is in the data."""
    schema = {key: value for key, value in TRACK.items() if not key.startswith("__")}
    *fields, last = schema["fields"]
    kind = last["type"] | {
        "fields": [*last["type"]["fields"], {"name": "score", "type": ["null", "long"]}]
    }
    newer = parsed(schema | {"fields": [*fields, last | {"type": kind}]})
    row = columns(SALE)
    row["enrichment"]["score"] = 5
    body = written_by_fastavro(newer, row)
    assert b'"enrichment":{"timestampSource":"given","score":5}' in enriched_json(body, newer)


def test_another_record_is_refused_by_name() -> None:
    """A schema that is none of ours is named."""
    other = parsed({"type": "record", "name": "shop.Order", "fields": []})
    with pytest.raises(
        UnreadableOutputError, match=r"schema shop\.Order is not that of an enriched"
    ):
        enriched_json(b"", other)


@pytest.mark.parametrize("size", [0, 1, 20, 100])
def test_data_that_is_cut_off_is_refused(size: int) -> None:
    """Each prefix of a message is no message."""
    with pytest.raises(UnreadableOutputError, match=r"does not fit its schema track_pipeline\."):
        enriched_json(written(SALE, TRACK)[:size], TRACK)


def test_data_with_bytes_behind_it_is_refused() -> None:
    """Such data was written with another schema, so nothing of it can be trusted."""
    with pytest.raises(UnreadableOutputError, match="2 bytes follow its end"):
        enriched_json(written(SALE, TRACK) + b"ab", TRACK)


@pytest.mark.parametrize(
    ("column", "value"),
    [("properties", "{"), ("context", ""), ("extra", "[]"), ("extra", "{} {}"), ("traits", "NaN")],
)
def test_a_part_that_is_no_json_is_refused(column: str, value: str) -> None:
    """A column of JSON text that holds something else would make the whole document invalid."""
    body = written_by_fastavro(TRACK, columns(SALE) | {column: value})
    with pytest.raises(UnreadableOutputError, match="the Avro data is none of EnrichedTrackEvent"):
        enriched_json(body, TRACK)
