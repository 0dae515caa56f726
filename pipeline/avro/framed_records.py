"""Raw records of any framing, read as JSON text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from uuid import UUID

from pipeline.avro.decoding import DecodingFault, DepthFault, LengthFault
from pipeline.avro.framing import Frame, unframe
from pipeline.avro.json_reader import JsonReader
from pipeline.avro.published import by_fingerprint
from pipeline.avro.raw_schemas import avro_reader, output_as_input, read_folder
from pipeline.avro.schema_source import SchemaSource, WriterSchema, find_schema
from pipeline.core.contract import ContractSettings
from pipeline.core.decode import reject
from pipeline.core.headers import TrackHeader
from pipeline.core.reasons import Invalid, Reason
from pipeline.core.record import Headers
from pipeline.errors import SchemaFileError

_MAX_PATH: Final = 80
"""Characters of the path to a field that a detail has room for."""

_ReadFrame = Callable[[bytes, Frame], bytes | Invalid]


class FramedReader:
    """Reads raw records of any framing: a `ReadText`.

    The readers of a schema are made once. A record that can't be read is an `Invalid`; the only
    error is RegistryUnavailableError.
    """

    def __init__(self, settings: ContractSettings, source: SchemaSource | None) -> None:
        """Read the schema files of `input.schemas`; `source` is None without a registry.

        Raises:
            SettingsError: Says what is wrong with each file that can't be used.
        """
        limits = settings.limits
        self._max_text = max(
            limits.max_event_bytes, limits.max_batch_output_bytes, limits.max_record_bytes or 0
        )
        self._must_be_framed = settings.input.format == "avro"
        self._source = source
        self._folder = settings.input.schemas
        self._readers: dict[int | UUID | bytes, _ReadFrame] = {}
        if self._folder is not None:
            for fingerprint, reader in read_folder(self._folder, self._max_text).items():
                self._readers[fingerprint] = _avro(reader)

    def __call__(self, value: bytes, headers: Headers) -> bytes | Invalid:
        """Return the JSON text of a record, or why it can't be read."""
        frame = unframe(value, headers)
        if frame is None and self._must_be_framed and not _is_redriven(headers):
            detail = (
                "the record names no schema (00 and an id, C3 01 and a fingerprint, or a header): "
                "with input.format = auto it may be plain JSON"
            )
            return reject(Reason.INVALID_AVRO, detail)
        return self._text(value, frame)

    def read_any(self, value: bytes, headers: Headers) -> bytes | Invalid:
        """Return the JSON text of a record that may be plain JSON, or why it can't be read."""
        return self._text(value, unframe(value, headers))

    def _text(self, value: bytes, frame: Frame | Invalid | None) -> bytes | Invalid:
        if frame is None:
            return value
        if type(frame) is Invalid:
            return frame
        read = self._readers.get(frame.schema)
        if read is None:
            found = self._find(frame)
            if type(found) is Invalid:
                return found
            read = self._readers[frame.schema] = _reader(found, frame, self._max_text)
        return read(value, frame)

    def _find(self, frame: Frame) -> WriterSchema | Invalid:
        schema, name = frame.schema, frame.schema_name()
        if isinstance(schema, bytes):
            return self._unknown_fingerprint(schema, name)
        if self._source is None:
            return _unknown(f"{name} can't be looked up: schema_registry.url is not set")
        found = find_schema(self._source, schema)
        return _unknown(f"the Schema Registry has no {name}") if found is None else found

    def _unknown_fingerprint(self, fingerprint: bytes, name: str) -> Invalid:
        if by_fingerprint(fingerprint) is not None:
            return reject(Reason.INVALID_AVRO, output_as_input(name))
        where = "input.schemas is not set"
        if self._folder is not None:
            where = "no file of input.schemas has it"
        return _unknown(f"{name} is not known: {where}")


def _is_redriven(headers: Headers) -> bool:
    return any(name == TrackHeader.REDRIVE.value for name, _value in headers)


def _unknown(detail: str) -> Invalid:
    return reject(Reason.SCHEMA_UNKNOWN, detail)


def _reader(schema: WriterSchema, frame: Frame, max_text: int) -> _ReadFrame:
    """Make what reads the records of a registered schema."""
    name = frame.schema_name()
    if schema.kind == "json":
        return _read_json
    if schema.kind == "protobuf":
        return _refuse(f"{name} is a Protobuf schema; only records of Avro and JSON are read")
    try:
        return _avro(avro_reader(schema, name, max_text))
    except SchemaFileError as error:
        return _refuse(str(error))


def _refuse(detail: str) -> _ReadFrame:
    invalid = reject(Reason.INVALID_AVRO, detail)
    return lambda _value, _frame: invalid


def _read_json(_value: bytes, frame: Frame) -> bytes | Invalid:
    second = _second_framing(frame)
    return frame.payload if second is None else second


def _avro(reader: JsonReader) -> _ReadFrame:
    def read_avro(value: bytes, frame: Frame) -> bytes | Invalid:
        try:
            return reader.read(value, len(value) - len(frame.payload))
        except DecodingFault as fault:
            return _rejected(fault, frame)

    return read_avro


def _rejected(fault: DecodingFault, frame: Frame) -> Invalid:
    name, where = frame.schema_name(), _position(fault)
    if isinstance(fault, LengthFault):
        rejected = reject(Reason.RECORD_TOO_LARGE, f"read with {name}, {fault.what}")
    elif isinstance(fault, DepthFault):
        rejected = reject(Reason.TOO_DEEP, f"read with {name}, {fault.what}{where}")
    else:
        rejected = reject(Reason.INVALID_AVRO, f"not Avro of {name}: {fault.what}{where}")
    return _second_framing(frame) or rejected


def _position(fault: DecodingFault) -> str:
    """Position of the fault, as a clause in brackets: byte and field; empty when unknown."""
    if fault.at is None:
        return ""
    path = "".join(f".{name}" if name[:1] not in "[{" else name for name in reversed(fault.path))
    where = path.lstrip(".")
    if len(where) > _MAX_PATH:
        where = f"{where[: _MAX_PATH - 1]}…"
    return f" (byte {fault.at}{', ' if where else ''}{where})"


def _second_framing(frame: Frame) -> Invalid | None:
    """Rejection of a record whose header names a schema, while its value seems to name another."""
    second = unframe(frame.payload, ()) if frame.in_header else None
    if not isinstance(second, Frame):
        return None
    detail = (
        f"the header names {frame.schema_name()}, and the value seems to begin with "
        f"{second.schema_name()}: a record may have only one of them"
    )
    return reject(Reason.INVALID_AVRO, detail)
