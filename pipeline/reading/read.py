"""Turns a message of an output topic into a typed object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Protocol

import msgspec
from msgspec import Raw, Struct, ValidationError

from pipeline.avro.output_json import Schemas, output_json
from pipeline.core.coordinates import parse_source
from pipeline.core.dead_letter_fields import read_number, read_problems
from pipeline.core.enriched_event import IDENTIFY, OUR_FIELDS, TRACK
from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.members import Members, is_object, kind_of, read_value, written_without
from pipeline.core.money import Amount, read_amount
from pipeline.core.raw_event import read_reserved
from pipeline.core.reasons import WarningCode
from pipeline.core.timestamps import read_time, time_text
from pipeline.errors import UnreadableOutputError
from pipeline.reading.events import (
    DeadLetterMessage,
    EnrichedTrack,
    Enrichment,
    Identify,
    OutputMessage,
    Provenance,
)
from pipeline.reading.json_parts import read_fields, read_object

MessageHeaders = Iterable[tuple[str, bytes | None]]
"""Headers of a Kafka message in order; of a repeated name the last one counts."""

_ByName = Mapping[str, bytes | None]
_OURS: Final = frozenset(OUR_FIELDS)
_INVALID_CURRENCY: Final = f"{WarningCode.CURRENCY_INVALID} /properties/currency"


class _EnrichmentFields(Struct, rename="camel"):
    """The members of `enrichment` that this version knows."""

    currency_defaulted: bool = False
    timestamp_source: str | None = None
    unreadable: dict[str, str] = {}
    warnings: tuple[str, ...] = ()


_ENRICHMENT: Final = frozenset(_EnrichmentFields.__struct_encode_fields__)
_read_enrichment: Final = msgspec.json.Decoder(_EnrichmentFields).decode


class KafkaMessage(Protocol):
    """A message as confluent_kafka has it; any object with these methods does."""

    def value(self) -> Any:  # noqa: ANN401  confluent_kafka's annotations differ by version
        """Bytes of the message; None for a tombstone."""

    def headers(self) -> Any:  # noqa: ANN401
        """Headers in order, as pairs of a name and bytes; None without any."""

    def error(self) -> Any:  # noqa: ANN401
        """None, unless the object is an event of the client."""


def read_message(message: KafkaMessage, schemas: Schemas = None) -> OutputMessage:
    """See `pipeline.reading`."""
    if (error := message.error()) is not None:
        raise UnreadableOutputError(f"not a message but an event of the client: {error}")
    try:
        headers = message.headers()
    except UnicodeDecodeError as unreadable:
        raise UnreadableOutputError("a header has a name that is not UTF-8") from unreadable
    return read_output(message.value(), headers or (), schemas)


def read_output(
    value: bytes | None, headers: MessageHeaders = (), schemas: Schemas = None
) -> OutputMessage:
    """See `pipeline.reading`."""
    listed = list(headers)
    by_name = dict(listed)
    if by_name.get(DlqHeader.REASON) is not None:
        return _dead_letter(value, by_name)
    if value is None:
        raise UnreadableOutputError("the message has no value (a tombstone)")
    text = output_json(value, listed, schemas)
    fields = read_fields(text)
    kind = _optional_text(fields, "type")
    if kind == TRACK and "enrichment" in fields:
        return _track(text, fields, by_name)
    if kind == IDENTIFY and "enrichment" not in fields and "messageId" in fields:
        return Identify(**_common(text, fields, by_name))
    what = "a track call that was not enriched" if kind == TRACK else f"of type {kind!r}"
    raise UnreadableOutputError(
        f"the message is {what}, neither an enriched event nor an identify message: is this "
        "another topic?"
    )


def _track(text: bytes, fields: Members, headers: _ByName) -> EnrichedTrack:
    properties = _object(fields, "properties")
    enrichment = _enrichment(_object(fields, "enrichment"))
    reserved = read_reserved(properties)
    return EnrichedTrack(
        **_common(text, fields, headers),
        event=_text(fields, "event"),
        revenue=_amount(reserved.revenue),
        value=_amount(reserved.value),
        currency=_currency(reserved.currency, enrichment),
        properties_json=properties,
        enrichment=enrichment,
    )


def _common(text: bytes, fields: Members, headers: _ByName) -> dict[str, Any]:
    """The fields of any `UserMessage`."""
    extra = b"" if _OURS.issuperset(fields) else written_without(text, _OURS)
    return {
        "message_id": _text(fields, "messageId"),
        "user_id": _optional_text(fields, "userId"),
        "anonymous_id": _optional_text(fields, "anonymousId"),
        "timestamp": _time(fields, "timestamp"),
        "original_timestamp": _time(fields, "originalTimestamp"),
        "sent_at": _time(fields, "sentAt"),
        "received_at": _time(fields, "receivedAt"),
        "traits_json": _part(fields, "traits"),
        "context_json": _object(fields, "context"),
        "integrations_json": _part(fields, "integrations"),
        "extra_json": b"{%b}" % extra,
        "provenance": _provenance(headers, TrackHeader.SOURCE, TrackHeader.REPLAY),
    }


def _part(fields: Members, name: str) -> bytes | None:
    sent = fields.get(name)
    return None if sent is None else bytes(sent)


def _object(fields: Members, name: str) -> bytes:
    sent = fields.get(name)
    if sent is None or not is_object(sent):
        raise _wrong(name, "an object", sent)
    return bytes(sent)


def _text(fields: Members, name: str) -> str:
    text = _optional_text(fields, name)
    if text is None:
        raise _wrong(name, "text", fields.get(name))
    return text


def _optional_text(fields: Members, name: str) -> str | None:
    sent = fields.get(name)
    if sent is None:
        return None
    if kind_of(sent) is not str:
        raise _wrong(name, "text", sent)
    return str(read_value(sent))


def _time(fields: Members, name: str) -> datetime | None:
    text = _optional_text(fields, name)
    if text is None:
        return None
    moment = read_time(text)
    if moment is None:
        raise _wrong(name, "a time", fields[name])
    return datetime.fromisoformat(moment[1])


def _wrong(name: str, what: str, sent: Raw | None) -> UnreadableOutputError:
    found = "is absent" if sent is None else f"is not {what} but {kind_of(sent).__name__}"
    return UnreadableOutputError(f"the message is no output of this program: its {name} {found}")


def _amount(sent: Raw) -> Decimal | None:
    """An amount that the contract has accepted: it is a number, text is one that was let pass."""
    if not sent or kind_of(sent) is str:
        return None
    try:
        amount = read_amount(read_value(sent))
    except ValidationError:  # an integer of thousands of digits
        return None
    return Decimal(amount.number) if type(amount) is Amount else None


def _currency(sent: Raw, enrichment: Enrichment) -> str | None:
    """A currency that the contract has accepted: about one that was let pass, it has warned."""
    if not sent or kind_of(sent) is not str or _INVALID_CURRENCY in enrichment.warnings:
        return None
    return str(read_value(sent))


def _enrichment(text: bytes) -> Enrichment:
    try:
        known = _read_enrichment(text)
    except ValidationError as error:
        raise UnreadableOutputError(
            f"the message is no output of this program: its enrichment is unusual: {error}"
        ) from error
    found = read_object(text)
    return Enrichment(
        currency_defaulted=known.currency_defaulted,
        timestamp_source=known.timestamp_source,
        unreadable=known.unreadable,
        warnings=known.warnings,
        others={name: value for name, value in found.items() if name not in _ENRICHMENT},
    )


def _dead_letter(value: bytes | None, headers: _ByName) -> DeadLetterMessage:
    reason = _header(headers, DlqHeader.REASON) or ""
    return DeadLetterMessage(
        value=value,
        is_stub=DlqHeader.POINTER in headers,
        reason=reason,
        problems=tuple(read_problems(headers.get(DlqHeader.REASONS), reason)),
        stage=_header(headers, DlqHeader.STAGE) or "",
        attempt=read_number(_header(headers, DlqHeader.ATTEMPT) or "") or 1,
        failed_at=_moment(_header(headers, DlqHeader.FAILED_AT)),
        first_failed_at=_moment(_header(headers, DlqHeader.FIRST_FAILED_AT)),
        source_timestamp=_moment(
            time_text(read_number(_header(headers, DlqHeader.SOURCE_TIMESTAMP) or ""))
        ),
        event=_header(headers, DlqHeader.EVENT),
        message_id=_header(headers, DlqHeader.MESSAGE_ID),
        library=_header(headers, DlqHeader.LIBRARY),
        provenance=_provenance(headers, DlqHeader.SOURCE, DlqHeader.REPLAY),
    )


def _provenance(
    headers: _ByName, source: DlqHeader | TrackHeader, replay: DlqHeader | TrackHeader
) -> Provenance:
    version, _, digest = (_header(headers, TrackHeader.CONTRACT) or "").partition(";")
    return Provenance(
        source=parse_source(headers.get(source) or b""),
        contract=version or None,
        contract_hash=digest or None,
        replay=_header(headers, replay),
        redrive=_header(headers, TrackHeader.REDRIVE),
        replaces=parse_source(headers.get(TrackHeader.REPLACES) or b""),
    )


def _header(headers: _ByName, name: str) -> str | None:
    """Text of a header; None when it is absent or empty."""
    value = headers.get(name)
    return value.decode(errors="replace") if value else None


def _moment(text: str | None) -> datetime | None:
    moment = None if text is None else read_time(text)
    return None if moment is None else datetime.fromisoformat(moment[1])
