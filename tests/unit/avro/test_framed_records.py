"""Framed records are found, read, and rejected with one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.avro.framed_records import FramedReader
from pipeline.avro.framing import guid_header, prefix_of_fingerprint, prefix_of_id
from pipeline.avro.published import fingerprint, published
from pipeline.avro.schema_source import SchemaSource, WriterSchema
from pipeline.core.contract import ContractSettings
from pipeline.core.headers import VALUE_SCHEMA_ID, TrackHeader
from pipeline.core.reasons import Reason
from pipeline.core.record import Headers, Role
from pipeline.errors import RegistryUnavailableError, SettingsError
from tests.unit.avro.schemas_of_records import (
    BATCH,
    EVENT,
    GUID,
    ID,
    KnownSchemas,
    body,
    read_body,
    reader_of,
    record_of,
    rejection,
)

VALUE = {
    "event": "e",
    "userId": "u",
    "properties": {"revenue": None, "currency": None, "tags": []},
}
TEXT = b'{"event":"e","userId":"u","properties":{"revenue":null,"currency":null,"tags":[]}}'
BODY = body(EVENT, VALUE)
JSON_SCHEMA = WriterSchema("json", '{"type":"object"}')


def reader(
    source: SchemaSource | None = None, form: str = "auto", folder: Path | None = None
) -> FramedReader:
    """Make a reader with these settings."""
    given = {"format": form, "schemas": None if folder is None else str(folder)}
    return FramedReader(ContractSettings.model_validate({"input": given}), source)


def test_every_framing_gives_the_same_text() -> None:
    """An id, a GUID and a fingerprint lead to the same JSON."""
    read = reader_of(EVENT)
    assert read(prefix_of_id(ID) + BODY, ()) == TEXT
    assert read(BODY, [guid_header(GUID)]) == TEXT


def test_the_schema_is_asked_for_once() -> None:
    """The answer of a registry is kept for as long as the reader lives."""
    source = KnownSchemas({ID: EVENT})
    read = reader(source)
    for _ in range(3):
        assert read(prefix_of_id(ID) + BODY, ()) == TEXT
    assert source.asked == [ID]


def test_single_objects_need_no_registry(tmp_path: Path) -> None:
    """Files of a folder are found by their fingerprint."""
    (tmp_path / "track.avsc").write_text(json.dumps(EVENT))
    (tmp_path / "other.avsc").write_text(json.dumps(record_of(x="int")))
    read = reader(folder=tmp_path)
    assert read(prefix_of_fingerprint(fingerprint(json.dumps(EVENT))) + BODY, ()) == TEXT
    code, detail = rejection(read(prefix_of_fingerprint(bytes(8)) + BODY, ()))
    assert code == "schema_unknown"
    assert (
        detail
        == "schema fingerprint 0000000000000000 is not known: no file of input.schemas has it"
    )
    code, detail = rejection(reader()(prefix_of_fingerprint(bytes(8)), ()))
    assert code == "schema_unknown"
    assert "input.schemas is not set" in detail


@pytest.mark.parametrize("value", [b"{}", b" [1]", b"\xef\xbb\xbf{}", b"no json", b"\xff"])
def test_plain_values_are_left_to_the_core(value: bytes) -> None:
    """With auto a value without framing is returned as it is, whatever it holds."""
    assert reader()(value, ()) == value


def test_values_without_framing_are_rejected() -> None:
    """With avro a record must name its schema, unless a redrive of ours has written it."""
    code, detail = rejection(reader(form="avro")(TEXT, ()))
    assert code == "invalid_avro"
    assert "input.format = auto" in detail
    redriven: Headers = [(TrackHeader.REDRIVE.value, b"id")]
    assert reader(form="avro")(TEXT, redriven) == TEXT


def test_json_with_a_schema_id_is_returned() -> None:
    """Records of a JSON Schema are JSON behind a prefix, or next to a header."""
    read = reader_of(JSON_SCHEMA)
    assert read(prefix_of_id(ID) + b'{"a": 1.10}', ()) == b'{"a": 1.10}'
    assert read(b'{"a": 1.10}', [guid_header(GUID)]) == b'{"a": 1.10}'
    assert read(prefix_of_id(ID), ()) == b""


def test_protobuf_is_refused() -> None:
    """A Protobuf schema is named as what it is."""
    read = reader_of(WriterSchema("protobuf", 'syntax = "proto3";'))
    assert rejection(read(prefix_of_id(ID) + b"\x00\x0a", ())) == (
        "invalid_avro",
        "schema id 7 is a Protobuf schema; only records of Avro and JSON are read",
    )


@pytest.mark.parametrize("schema_id", [8, 2**31 - 1, 2**31, 2**32 - 1])
def test_unknown_ids_are_named(schema_id: int) -> None:
    """An id that the registry does not have is said, and what can't be an id is not asked for."""
    source = KnownSchemas({ID: EVENT})
    code, detail = rejection(reader(source)(prefix_of_id(schema_id) + BODY, ()))
    assert code == "schema_unknown"
    assert detail == f"the Schema Registry has no schema id {schema_id}"
    assert source.asked == ([schema_id] if schema_id < 2**31 else [])


def test_unknown_guids_are_named() -> None:
    """A GUID that the registry does not have is said."""
    code, detail = rejection(reader(KnownSchemas({}))(BODY, [guid_header(GUID)]))
    assert code == "schema_unknown"
    assert detail == f"the Schema Registry has no schema GUID {GUID}"


def test_a_schema_that_appears_later_is_read() -> None:
    """The registry is asked again for a schema that it did not have."""
    source = KnownSchemas({})
    read = reader(source)
    assert rejection(read(prefix_of_id(ID) + BODY, ()))[0] == "schema_unknown"
    source.register(ID, EVENT)
    assert read(prefix_of_id(ID) + BODY, ()) == TEXT


def test_without_a_registry_ids_are_unknown() -> None:
    """The sentence names the setting that is missing."""
    code, detail = rejection(reader()(prefix_of_id(ID) + BODY, ()))
    assert code == "schema_unknown"
    assert "schema_registry.url is not set" in detail


def test_an_unavailable_registry_is_an_error() -> None:
    """A registry that does not answer rejects no record, and the next attempt asks again."""
    read = reader(KnownSchemas({ID: EVENT}, outages=1))
    with pytest.raises(RegistryUnavailableError):
        read(prefix_of_id(ID) + BODY, ())
    assert read(prefix_of_id(ID) + BODY, ()) == TEXT


def test_known_schemas_are_read_while_the_registry_is_down() -> None:
    """A schema that was read once is not asked for again."""
    source = KnownSchemas({ID: EVENT})
    read = reader(source)
    assert read(prefix_of_id(ID) + BODY, ()) == TEXT
    source.outages = 1
    assert read(prefix_of_id(ID) + BODY, ()) == TEXT


def test_a_prefix_beside_a_header_is_pointed_out() -> None:
    """The header counts; when the value can't be read with it, both are in the sentence."""
    for schema in (EVENT, JSON_SCHEMA):
        found = reader_of(schema)(prefix_of_id(9) + BODY, [guid_header(GUID)])
        code, detail = rejection(found)
        assert code == "invalid_avro"
        assert str(GUID) in detail
        assert "begin with schema id 9" in detail


def test_our_own_outputs_are_no_raw_events() -> None:
    """An enriched event in the raw topic is a mistake that the sentence names."""
    for role in (Role.ENRICHED, Role.IDENTIFY):
        text = published(role)
        code, detail = rejection(reader()(prefix_of_fingerprint(fingerprint(text)) + b"x", ()))
        assert code == "invalid_avro"
        assert "which is no raw event" in detail
        code, detail = rejection(read_body(json.loads(text), b"x"))
        assert code == "invalid_avro"
        assert detail.startswith("schema id 7 is that of an enriched event")


CORRUPT: dict[str, tuple[bytes, str]] = {
    "no_bytes": (b"", "the value ends too early (byte 5, event)"),
    "text_cut_off": (b"\x02", "1 bytes are announced, 0 are left (byte 5, event)"),
    "long_text_cut_off": (b"\x80\x01abc", "64 bytes are announced, 3 are left (byte 5, event)"),
    "negative_length": (b"\x01", "a length of -1 (byte 5, event)"),
    "huge_length": (
        b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        f"{2**63 - 1} bytes are announced, 0 are left (byte 5, event)",
    ),
    "number_of_80_bits": (b"\xff" * 11 + b"\x01", "a number of more than 64 bits (byte 5, event)"),
    "number_without_end": (b"\x80" * 50, "a number of more than 64 bits (byte 5, event)"),
    "not_utf_8": (b"\x02\xff", "a text that is not UTF-8 (invalid start byte) (byte 5, event)"),
    "surrogate": (
        b"\x06\xed\xa0\x80",
        "a text that is not UTF-8 (invalid continuation byte) (byte 5, event)",
    ),
    "branch_too_high": (b"\x02e\x04", "branch 2 of a union of 2 (byte 7, userId)"),
    "branch_negative": (b"\x02e\x01", "branch -1 of a union of 2 (byte 7, userId)"),
    "nested": (b"\x02e\x00\x00\x00\x02\x08x", "4 bytes are announced, 1 are left"),
    "trailing": (BODY + b"\x00\x00", "2 bytes follow its end at byte 13"),
    "items": (
        b"\x02e\x00\x00\x00\x80\x80\xa0\xf6\xf4\xac\xdb\xe0\x1b",
        f"{10**18} items are announced, 0 bytes are left (byte 10, properties.tags)",
    ),
    "items_by_size": (
        b"\x02e\x00\x00\x00" + b"\xff" * 9 + b"\x01\x00",
        f"{2**63} items are announced, 0 bytes are left (byte 10, properties.tags)",
    ),
}


@pytest.mark.parametrize("name", CORRUPT)
def test_corrupt_bytes_are_explained(name: str) -> None:
    """What is wrong, at which byte of the value, and in which field."""
    data, what = CORRUPT[name]
    code, detail = rejection(read_body(EVENT, data))
    assert code == "invalid_avro"
    assert detail.startswith("not Avro of schema id 7: ")
    assert what in detail


def test_the_path_names_items() -> None:
    """The place within an array is its index; keys of a map are content and not quoted."""
    data = b"\x04" + BODY + b"\x01"
    assert rejection(read_body(BATCH, data))[1].endswith("(byte 14, batch[1].event)")
    schema = record_of(x={"type": "map", "values": "boolean"})
    assert rejection(read_body(schema, b"\x02\x0csecret\x07"))[1] == (
        "not Avro of schema id 7: a boolean of byte 07 (byte 13, x{})"
    )


@pytest.mark.parametrize(
    ("schema", "what"),
    [
        ("no json", "schema id 7 is no JSON"),
        ("\ud800", "schema id 7 is no JSON"),
        ("{}", "schema id 7 is no Avro schema"),
        ('"unheard.of"', "schema id 7 has a type that nothing defines: unheard.of"),
        ("[" * 100_000, "schema id 7 is nested deeper than 256 levels"),
        ('{"type":"record","name":"R","fields":7}', "schema id 7 is no Avro schema"),
        ('{"__fastavro_parsed":true,"type":"record"}', "schema id 7 is no Avro schema"),
        (
            '{"__fastavro_parsed":true,"__named_schemas":{},"type":"record","name":"R"}',
            "schema id 7 is no Avro schema",
        ),
        (
            '[{"__fastavro_parsed":true,"__named_schemas":{},"type":[],"name":[]}]',
            "schema id 7 is no Avro schema",
        ),
        ('{"type":"fixed","name":"F","size":"x"}', "a fixed has the size 'x'"),
        ('{"type":"fixed","name":"F","size":-1}', "a fixed has the size -1"),
        (
            '{"type":"bytes","logicalType":"decimal","precision":1000000000,"scale":1000000000}',
            "a decimal has a scale of 1000000000, over 1000",
        ),
    ],
)
def test_schemas_that_are_none_are_one_sentence(schema: str, what: str) -> None:
    """The record is rejected with what is wrong with its schema."""
    code, detail = rejection(read_body(WriterSchema("avro", schema), BODY))
    assert code == "invalid_avro"
    assert what in detail


def test_missing_references_are_named() -> None:
    """A reference that is broken is named beside the schema."""
    schema = WriterSchema("avro", '"com.acme.Order"', (("com.acme.Order", "{"),))
    code, detail = rejection(read_body(schema, BODY))
    assert code == "invalid_avro"
    assert detail.startswith("com.acme.Order, to which schema id 7 refers, is no JSON")


def test_schema_files_are_checked_at_the_start(tmp_path: Path) -> None:
    """Each file that can't be used is named, with what is wrong with it."""
    (tmp_path / "a.avsc").write_text("{")
    (tmp_path / "b.avsc").write_bytes(b"\xff")
    (tmp_path / "c.avsc").write_text(json.dumps(record_of(x={"type": "array", "items": "null"})))
    (tmp_path / "d.avsc").write_text(json.dumps(EVENT))
    with pytest.raises(SettingsError) as caught:
        reader(folder=tmp_path)
    assert [problem.partition(" ")[0] for problem in caught.value.problems] == [
        "input.schemas:"
    ] * 3
    for name, problem in zip("abc", caught.value.problems, strict=True):
        assert str(tmp_path / f"{name}.avsc") in problem


def test_a_folder_must_have_schemas(tmp_path: Path) -> None:
    """A folder that is missing or empty is most likely misspelt."""
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(SettingsError, match="is no folder with files"):
            reader(folder=folder)


def test_schema_files_may_not_be_confused(tmp_path: Path) -> None:
    """A fingerprint does not cover logical types, so two such files would be a guess."""
    plain = record_of(x="long")
    (tmp_path / "a.avsc").write_text(json.dumps(plain))
    (tmp_path / "b.avsc").write_text(json.dumps(plain))
    reader(folder=tmp_path)
    times = record_of(x={"type": "long", "logicalType": "timestamp-millis"})
    (tmp_path / "b.avsc").write_text(json.dumps(times))
    with pytest.raises(SettingsError, match="have the same fingerprint"):
        reader(folder=tmp_path)


def test_malformed_framing_is_passed_on() -> None:
    """A header or a prefix that is cut off is rejected with its own sentence."""
    assert rejection(reader()(TEXT, [(VALUE_SCHEMA_ID, b"7")]))[0] == Reason.INVALID_AVRO.value
    assert rejection(reader()(b"\x00", ()))[0] == Reason.INVALID_AVRO.value
