"""Dead letters of framed raw records: their bytes stay, and tools see the JSON."""

from __future__ import annotations

import json
import pickle
from base64 import b64decode
from decimal import Decimal

import pytest

from pipeline.avro.framing import guid_header
from pipeline.cli.dlq.annotated_value import annotated_value
from pipeline.core.headers import VALUE_SCHEMA_ID, TrackHeader
from pipeline.core.identities import generated_message_id
from pipeline.core.masking import HIDDEN
from pipeline.core.origin import read_origin
from pipeline.core.process import Processor
from pipeline.core.record import Headers, Record, Role
from pipeline.dlq.as_json import masked_dead_letter_value, to_dict
from pipeline.dlq.blocked_revenue import BlockedRevenue
from pipeline.dlq.builtin_repairs import repair_of, set_value
from pipeline.dlq.export import line_of, read_line
from pipeline.dlq.filters import Selection
from pipeline.dlq.header_formats import reader_of
from pipeline.dlq.recheck import Rechecker, RecheckKind
from pipeline.dlq.redrive_plan import kept_headers
from pipeline.dlq.repair import generated_id, no_repair
from pipeline.dlq.reprocess import as_raw
from pipeline.dlq.values import of_dead_letters
from pipeline.errors import RegistryUnavailableError
from tests.unit.avro.schemas_of_records import EVENT, GUID, ID, KnownSchemas
from tests.unit.dlq.dead_letters import IDENTITY, NOW, SETTINGS
from tests.unit.dlq.framed import (
    AVRO,
    SCHEMAS,
    batch,
    by_guid,
    by_id,
    dead_letter,
    dead_letters,
    formats,
    reprocessor,
    sent,
)

TEXT = b'{"event":"Order","userId":null,"properties":{"revenue":null,"currency":null,"tags":[]}}'
USER = repair_of([set_value("/userId=u-1")], everywhere=True)


def _names(headers: Headers) -> set[str]:
    return {name for name, _ in headers}


@pytest.mark.parametrize("record", [by_id(), by_guid()], ids=["prefix", "header"])
def test_the_bytes_stay_and_the_text_is_json(record: Record) -> None:
    """A whole record keeps its bytes and its schema's header; it is decoded where it is read."""
    found = dead_letter(record)
    assert found.value == record.value
    assert found.text == TEXT
    assert found.decoded == json.loads(TEXT)
    assert found.event_object == json.loads(TEXT)
    assert (VALUE_SCHEMA_ID in _names(found.headers)) == (VALUE_SCHEMA_ID in _names(record.headers))


@pytest.mark.parametrize("record", [by_id(), by_guid()], ids=["prefix", "header"])
def test_unrepaired_ones_are_tried_as_they_are(record: Record) -> None:
    """Without a repair a framed record is sent again with its bytes, key and header."""
    found = dead_letter(record)
    result = Rechecker(reprocessor(), no_repair()).recheck(found, NOW)
    assert (result.kind, result.value) == (RecheckKind.SAME, record.value)
    raw = as_raw(found, result.value, "redrive-1")
    assert (raw.value, raw.key) == (record.value, record.key)
    assert {*_names(record.headers), TrackHeader.REDRIVE} <= _names(raw.headers)
    assert dict(raw.headers)[TrackHeader.REDRIVE] == b"redrive-1"


@pytest.mark.parametrize("record", [by_id(), by_guid()], ids=["prefix", "header"])
def test_repaired_ones_become_plain_json(record: Record) -> None:
    """A repair writes JSON without the schema's header; the rules for framed records take it."""
    found = dead_letter(record)
    result = Rechecker(reprocessor(), USER).recheck(found, NOW)
    assert result.kind is RecheckKind.PASSES
    assert result.value is not None
    assert json.loads(result.value)["userId"] == "u-1"
    raw = as_raw(found, result.value)
    assert VALUE_SCHEMA_ID not in _names(raw.headers)
    assert VALUE_SCHEMA_ID not in _names(result.outputs[0].headers)


def test_generated_ids_come_from_the_bytes_of_the_record() -> None:
    """A repaired event has the message id that a replay of its framed record would give."""
    found = dead_letter(by_id())
    origin = read_origin(as_raw(found, found.value), accept_headers=True)
    expected = generated_message_id(origin.message_id_source(), by_id().value or b"")
    assert generated_id(found) == expected
    repaired = Rechecker(reprocessor(), USER).recheck(found, NOW)
    assert json.loads(repaired.outputs[0].value or b"")["messageId"] == expected


def test_items_of_a_framed_batch_are_json() -> None:
    """The dead letter of one item is a JSON envelope, which redrives and repairs take."""
    good, bad = sent("u-1"), sent()
    found, *more = dead_letters(batch(good, bad, good))
    assert not more
    assert found.frame is None
    assert json.loads(found.value or b"")["batch"] == [json.loads(TEXT)]
    assert Rechecker(reprocessor(), no_repair()).recheck(found, NOW).kind is RecheckKind.SAME
    assert Rechecker(reprocessor(), USER).recheck(found, NOW).kind is RecheckKind.PASSES


def test_the_only_item_of_a_framed_batch() -> None:
    """A batch of one event is kept as a whole, and its repair is the envelope as JSON."""
    record = batch(sent())
    found = dead_letter(record)
    assert found.value == record.value
    result = Rechecker(reprocessor(), USER).recheck(found, NOW)
    assert result.kind is RecheckKind.PASSES
    assert json.loads(result.value or b"")["batch"][0]["userId"] == "u-1"


def test_filters_find_users_in_framed_values() -> None:
    """A filter on the user reads the decoded value."""
    found = dead_letter(by_id(event=sent("u-1", revenue=Decimal("5.00"), currency="euro")))
    assert Selection(users=frozenset({"u-1"})).matches(found)
    assert not Selection(users=frozenset({"u-2"})).matches(found)


def test_values_are_shown_masked_or_whole() -> None:
    """Masked, a framed value is its JSON without personal data; revealed, it is its bytes."""
    event = {**sent(revenue=Decimal("5.00")), "event": "a@b.example"}
    found = dead_letter(by_id(event=event))
    masked = to_dict(found, reveal=False)
    assert masked["framing"] == "prefix, schema id 7"
    assert masked["decoded"]["event"] == HIDDEN
    assert json.loads(masked["value"])["event"] == HIDDEN
    revealed = to_dict(found, reveal=True)
    assert revealed["decoded"]["event"] == "a@b.example"
    assert (revealed["encoding"], b64decode(revealed["value"])) == ("base64", found.value)


def test_the_value_is_shown_as_json_with_its_violations() -> None:
    """The lines for a terminal are those of the JSON, with the violation at its place."""
    found = dead_letter(by_id(event=sent("u-1", revenue=Decimal("5.00"), currency="euro")))
    lines = annotated_value(found, reveal=False, as_json=True)
    marked = [line for line in lines if line.notes]
    assert [line.text.strip() for line in marked] == ['"currency": "euro",']


def test_nothing_is_shown_of_what_can_not_be_decoded() -> None:
    """Binary data may hold anything, so that masking hides it all."""
    found = dead_letter(by_id(), KnownSchemas({}))
    assert found.text is None
    assert masked_dead_letter_value(found) == HIDDEN.encode()
    (line,) = annotated_value(found, reveal=False, as_json=True)
    assert "--reveal shows them" in line.text
    assert "decoded" not in to_dict(found, reveal=False)


@pytest.mark.parametrize("record", [by_id(), by_guid()], ids=["prefix", "header"])
def test_exports_keep_the_bytes(record: Record) -> None:
    """An exported framed dead letter comes back byte for byte, with its decoded value beside."""
    found = dead_letter(record)
    line = line_of(found, "id", reveal=True)
    assert json.loads(line)["decoded"] == json.loads(TEXT)
    exported = read_line(line, of_dead_letters(formats()).read)
    assert not exported.edited
    assert exported.dead_letter.record == found.record._replace(headers=list(found.record.headers))
    assert exported.dead_letter.text == TEXT


def test_exports_edited_as_json() -> None:
    """Whoever writes JSON in place of framed bytes need not remove the header of the schema."""
    found = dead_letter(by_guid())
    document = json.loads(line_of(found, "id", reveal=True))
    document["value"] = {**document["decoded"], "userId": "u-1"}
    exported = read_line(json.dumps(document).encode(), of_dead_letters(formats()).read)
    assert exported.edited
    assert VALUE_SCHEMA_ID not in _names(exported.dead_letter.headers)
    result = Rechecker(reprocessor(), no_repair()).recheck(exported.dead_letter, NOW)
    assert result.kind is RecheckKind.PASSES
    event = json.loads(result.outputs[0].value or b"")
    assert event["messageId"] == generated_id(found)


def test_avro_that_looks_like_json_is_not_taken_for_it() -> None:
    """Bytes behind a header may begin and end like an object; the line holds them as text."""
    value = b'{"event":"Order"}'
    record = Record(value, None, by_guid().headers, NOW, "dead", 0, 0)
    read = lambda _value, _headers: TEXT  # noqa: E731
    line = json.loads(line_of(reader_of(read)(record), "id", reveal=True))
    assert (line["encoding"], line["value"]) == ("utf-8", value.decode())


def test_other_processes_get_the_text() -> None:
    """A process that runs a user's file has no registry, and yet sees the event."""
    found = dead_letter(by_id())
    again = pickle.loads(pickle.dumps(found))  # noqa: S301  our own
    assert (again.text, again.decoded) == (TEXT, found.decoded)
    plain = dead_letter(batch(sent(), sent("u")))
    assert pickle.loads(pickle.dumps(plain)).decoded == plain.decoded  # noqa: S301  our own


def test_blocked_revenue_of_framed_values() -> None:
    """Revenue is read from the decoded value; what can't be decoded may hold one."""
    revenue = BlockedRevenue(SETTINGS)
    revenue.add(dead_letter(by_id(event=sent(revenue=Decimal("5.00"), currency="EUR"))))
    assert revenue.amounts() == {"EUR": "5.00"}
    revenue.add(dead_letter(by_id(), KnownSchemas({})))
    assert (revenue.unreadable, revenue.dead_letters) == (1, 2)


def test_an_outage_of_the_registry_is_said_once() -> None:
    """Commands that only show ask once, say so once, and go on; known schemas are still read."""
    source, notices = KnownSchemas(SCHEMAS), list[str]()
    read = of_dead_letters(formats(source), notices.append).read
    assert read is not None
    assert read(by_id().value or b"", ()) == TEXT
    source.outages = 9
    asked = len(source.asked)
    for _ in range(3):
        assert type(read(by_guid().value or b"", by_guid().headers)) is not bytes
    assert read(by_id().value or b"", ()) == TEXT
    assert len(source.asked) == asked + 1
    assert len(notices) == 1
    assert "can't be decoded now" in notices[0]


def test_an_outage_of_the_registry_ends_a_redrive() -> None:
    """What sends events does not guess: it ends, and nothing is rejected for the outage."""
    source = KnownSchemas({ID: EVENT})
    found = dead_letter(by_id(), source)
    source.outages = 9
    with pytest.raises(RegistryUnavailableError):
        Rechecker(reprocessor(source), no_repair()).recheck(found, NOW)


def test_rules_for_framed_records_work_in_a_child_process() -> None:
    """A dead letter that killed its process is tried in another one, which has the formats too."""
    record = by_id(event=sent("u-1"))
    rules = reprocessor()
    rejected = Processor(AVRO, IDENTITY, formats()).crashed(record, NOW)
    read = of_dead_letters(formats()).read
    found = reader_of(read)(
        Record(rejected.value, rejected.key, rejected.headers, NOW, "dead", 0, 0)
    )
    rechecker = Rechecker(rules, no_repair())
    try:
        result = rechecker.recheck(found, NOW)
    finally:
        rechecker.end()
    assert [output.role for output in result.outputs] == [Role.ENRICHED]


def test_no_setting_drops_the_header_of_the_schema() -> None:
    """Without it a framed record could not be read again."""
    schema = guid_header(GUID)
    headers = [("traceparent", b"1"), schema, ("Trace", b"2"), ("own", b"3")]
    assert kept_headers(headers, ["trace*"]) == [schema, ("own", b"3")]
    assert kept_headers(headers, ["*", VALUE_SCHEMA_ID]) == [schema]
    assert kept_headers(headers, ["TRACE"]) == [headers[0], schema, ("own", b"3")]
