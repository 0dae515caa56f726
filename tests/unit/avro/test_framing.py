"""Framings are read as Confluent's deserializers read them."""

from __future__ import annotations

from uuid import UUID

import pytest

from pipeline.avro.framing import (
    Frame,
    guid_header,
    prefix_of_fingerprint,
    prefix_of_id,
    unframe,
)
from pipeline.core.headers import VALUE_SCHEMA_ID
from pipeline.core.reasons import Invalid, Reason
from pipeline.core.record import Headers

GUID = UUID("89791762-2336-4186-9674-299b90a802e2")
OTHER = UUID(int=7)
FINGERPRINT = bytes(range(8))


@pytest.mark.parametrize("schema_id", [0, 1, 7, 2**31 - 1])
def test_a_prefix_names_the_id(schema_id: int) -> None:
    """What is written in front of a value is read again, and the rest is the payload."""
    assert unframe(prefix_of_id(schema_id) + b"rest", ()) == Frame(schema_id, b"rest")


def test_a_prefix_has_confluents_bytes() -> None:
    """A zero byte is followed by the id, big-endian."""
    assert prefix_of_id(258) == b"\x00\x00\x00\x01\x02"


def test_a_header_names_the_guid() -> None:
    """With a header the whole value is the payload."""
    assert guid_header(GUID) == (VALUE_SCHEMA_ID, b"\x01" + GUID.bytes)
    assert unframe(b"rest", [guid_header(GUID)]) == Frame(GUID, b"rest", in_header=True)


def test_a_fingerprint_is_in_front_of_the_value() -> None:
    """Single-object encoding is two bytes, the fingerprint, and the payload."""
    prefix = prefix_of_fingerprint(FINGERPRINT)
    assert prefix == b"\xc3\x01" + FINGERPRINT
    assert unframe(prefix + b"rest", ()) == Frame(FINGERPRINT, b"rest")


def test_the_header_counts_beside_a_prefix() -> None:
    """Whatever the value begins with is payload when a header names the schema."""
    value = prefix_of_id(7) + b"rest"
    assert unframe(value, [guid_header(GUID)]) == Frame(GUID, value, in_header=True)


def test_the_last_header_counts() -> None:
    """Of several headers the last one is read, as by Kafka's own lastHeader()."""
    headers: Headers = [guid_header(OTHER), ("other", b"x"), guid_header(GUID)]
    assert unframe(b"", headers) == Frame(GUID, b"", in_header=True)


def test_a_header_without_value_is_none() -> None:
    """Confluent's deserializers look at the prefix then."""
    headers: Headers = [guid_header(OTHER), (VALUE_SCHEMA_ID, None)]
    assert unframe(prefix_of_id(7), headers) == Frame(7, b"")
    assert unframe(b"{}", headers) is None


def test_ids_and_guids_are_read_in_either_place() -> None:
    """A header may hold an id and a prefix a GUID, as Confluent's deserializers allow."""
    assert unframe(b"x", [(VALUE_SCHEMA_ID, prefix_of_id(9))]) == Frame(9, b"x", in_header=True)
    assert unframe(b"\x01" + GUID.bytes + b"x", ()) == Frame(GUID, b"x")


def test_message_indexes_behind_the_guid_are_passed_over() -> None:
    """Headers of Protobuf records are longer; what their schema is decides what becomes of them."""
    header = (VALUE_SCHEMA_ID, b"\x01" + GUID.bytes + b"\x02\x02")
    assert unframe(b"x", [header]) == Frame(GUID, b"x", in_header=True)


@pytest.mark.parametrize("header", [b"", b"\x01", b"\x00\x00", b"\x02" + bytes(16), b"7", bytes(4)])
def test_a_malformed_header_is_invalid(header: bytes) -> None:
    """A header that holds neither an id nor a GUID is one sentence, even beside a good prefix."""
    found = unframe(prefix_of_id(7), [(VALUE_SCHEMA_ID, header)])
    assert isinstance(found, Invalid)
    assert found.violations[0].code is Reason.INVALID_AVRO
    assert VALUE_SCHEMA_ID in found.violations[0].detail


@pytest.mark.parametrize(
    "value",
    [b"\x00", bytes(4), b"\x01", b"\x01" + bytes(15), b"\xc3\x01", b"\xc3\x01" + bytes(7)],
)
def test_half_a_framing_is_invalid(value: bytes) -> None:
    """A value that ends within its framing is one sentence with its length."""
    found = unframe(value, ())
    assert isinstance(found, Invalid)
    assert found.violations[0].code is Reason.INVALID_AVRO
    assert f"the value has {len(value)} bytes" in found.violations[0].detail


@pytest.mark.parametrize("value", [b"", b"{}", b" {}", b"\xef\xbb\xbf{}", b"\xc3\xa9", b"Obj\x01"])
def test_other_values_have_no_framing(value: bytes) -> None:
    """No JSON text is taken for a framed value."""
    assert unframe(value, [("other", b"x")]) is None


def test_schemas_are_named_in_sentences() -> None:
    """Each kind of name says what it is."""
    assert Frame(7, b"").schema_name() == "schema id 7"
    assert Frame(GUID, b"").schema_name() == f"schema GUID {GUID}"
    assert Frame(FINGERPRINT, b"").schema_name() == "schema fingerprint 0001020304050607"


def test_a_fingerprint_of_another_size_is_a_mistake() -> None:
    """Eight bytes are what single-object encoding has."""
    with pytest.raises(ValueError, match="8 bytes"):
        prefix_of_fingerprint(b"\x00")
