"""How a record names the schema of its value, written and read.

    Confluent, prefix     00 and an id of 4 bytes, big-endian, in front of the value
    Confluent, header     `__value_schema_id`: 01 and a GUID of 16 bytes; the value has no prefix
    Avro, single object   C3 01 and a fingerprint of 8 bytes, little-endian, in front of the value

What is read is what Confluent's deserializers for Java and .NET read: a header may also hold 00 and
an id, a prefix may also be 01 and a GUID, the last one of several headers counts, one without a
value is none, and next to a header the value is taken to have no prefix, whatever it begins with.
"""

from __future__ import annotations

from typing import Final, NamedTuple
from uuid import UUID

from pipeline.core.decode import reject
from pipeline.core.headers import VALUE_SCHEMA_ID
from pipeline.core.reasons import Invalid, Reason
from pipeline.core.record import Headers

_ID: Final = b"\x00"
_GUID: Final = b"\x01"
_SINGLE_OBJECT: Final = b"\xc3\x01"
_ID_SIZE: Final = 5
_GUID_SIZE: Final = 17
_SINGLE_OBJECT_SIZE: Final = 10
FINGERPRINT_SIZE: Final = 8
JSON_START: Final = b"{"
"""First byte of an output that is JSON; Avro begins with the length of `type`, another byte."""


class Frame(NamedTuple):
    """A framed value taken apart."""

    schema: int | UUID | bytes
    """What names the schema: an id or a GUID of the registry, or a fingerprint."""
    payload: bytes
    """The value without its framing."""
    in_header: bool = False
    """Whether a header names the schema."""

    def schema_name(self) -> str:
        """Return what names the schema, for sentences."""
        if isinstance(self.schema, int):
            return f"schema id {self.schema}"
        if isinstance(self.schema, UUID):
            return f"schema GUID {self.schema}"
        return f"schema fingerprint {self.schema.hex()}"


def prefix_of_id(schema_id: int) -> bytes:
    """Return the prefix of values whose schema has this id in the registry, 5 bytes."""
    return _ID + schema_id.to_bytes(4, "big")


def prefix_of_fingerprint(fingerprint: bytes) -> bytes:
    """Return the prefix of values in single-object encoding, 10 bytes."""
    if len(fingerprint) != FINGERPRINT_SIZE:
        raise ValueError(f"a fingerprint has {FINGERPRINT_SIZE} bytes, not {len(fingerprint)}")
    return _SINGLE_OBJECT + fingerprint


def guid_header(guid: UUID) -> tuple[str, bytes]:
    """Return the header of a value whose schema has this GUID in the registry."""
    return VALUE_SCHEMA_ID, _GUID + guid.bytes


def unframe(value: bytes, headers: Headers) -> Frame | Invalid | None:
    """Take a framed value apart; None when it has no framing, Invalid when only part of one."""
    header = _schema_header(headers) if headers else None
    if header is None:
        return _split(value)
    schema = _confluent(header)
    if schema is None:
        return _invalid(f"the header {VALUE_SCHEMA_ID} is not 01 and the 16 bytes of a GUID")
    return Frame(schema, value, in_header=True)


def _split(value: bytes) -> Frame | Invalid | None:
    """Take apart a value whose framing, if it has one, is in front of it."""
    if value.startswith(_SINGLE_OBJECT):
        if len(value) < _SINGLE_OBJECT_SIZE:
            return _cut_off(value, "C3 01 is not followed by the 8 bytes of a schema fingerprint")
        return Frame(value[2:_SINGLE_OBJECT_SIZE], value[_SINGLE_OBJECT_SIZE:])
    if not value.startswith((_ID, _GUID)):
        return None
    is_id = value.startswith(_ID)
    schema = _confluent(value)
    if schema is not None:
        return Frame(schema, value[_ID_SIZE if is_id else _GUID_SIZE :])
    if is_id:
        return _cut_off(value, "00 is not followed by the 4 bytes of a schema id")
    return _cut_off(value, "01 is not followed by the 16 bytes of a schema GUID")


def _schema_header(headers: Headers) -> bytes | None:
    for name, value in reversed(headers):
        if name == VALUE_SCHEMA_ID:
            return value
    return None


def _confluent(framing: bytes) -> int | UUID | None:
    """What names the schema in a prefix or a header; None when it is neither an id nor a GUID."""
    if framing.startswith(_ID) and len(framing) >= _ID_SIZE:
        return int.from_bytes(framing[1:_ID_SIZE], "big")
    if framing.startswith(_GUID) and len(framing) >= _GUID_SIZE:
        return UUID(bytes=framing[1:_GUID_SIZE])
    return None


def _cut_off(value: bytes, what: str) -> Invalid:
    return _invalid(f"{what}: the value has {len(value)} bytes")


def _invalid(detail: str) -> Invalid:
    return reject(Reason.INVALID_AVRO, detail)
