"""Formats besides JSON: what is read before the rules, and what is written after them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final

import pytest

from pipeline.core.contract import ContractSettings
from pipeline.core.decode import reject
from pipeline.core.enriched_event import EnrichedEvent
from pipeline.core.formats import Formats, OutputForm, TypedValues
from pipeline.core.headers import VALUE_SCHEMA_ID
from pipeline.core.process import Processor
from pipeline.core.reasons import Invalid, Reason
from pipeline.core.record import Headers, Output, Record, Role
from tests.support import IDENTITY, NOW, good, header, outcomes, raw

SCHEMA_ID: Final = (VALUE_SCHEMA_ID, b"\x01" + b"g" * 16)


def _unframe(value: bytes, headers: Headers) -> bytes | Invalid:
    """A framing of five bytes; schema 9 is unknown."""
    del headers
    if value.startswith(b"\0\0\0\0\x09"):
        return reject(Reason.SCHEMA_UNKNOWN, "no schema has the id 9")
    return value[5:] if value.startswith(b"\0") else value


FRAMED: Final = Formats(read=_unframe)


def _framed(event: object, schema: int = 1) -> bytes:
    return schema.to_bytes(5, "big") + json.dumps(event).encode()


def _process(record: Record, formats: Formats = FRAMED, **settings: Any) -> tuple[Output, ...]:
    contract = ContractSettings.model_validate(settings)
    return Processor(contract, IDENTITY, formats).process(record, NOW)


class Written:
    """An output form that remembers what it is given."""

    def __init__(self, name: str) -> None:
        self.form = OutputForm(self.write, (("form", name.encode()),))
        self.others = b""
        self.typed = TypedValues()

    def write(self, event: EnrichedEvent, others: bytes, typed: TypedValues) -> bytes:
        """See `WriteEvent`."""
        self.others, self.typed = others, typed
        return event.type.encode()


def _typed(event: object, **settings: Any) -> TypedValues:
    written = Written("enriched")
    _process(raw(json.dumps(event).encode()), Formats(enriched=written.form), **settings)
    return written.typed


def test_a_framed_event_is_enriched_like_its_text() -> None:
    """The value of the output is the same; the generated id is that of the raw bytes."""
    framed = _process(raw(_framed(good())))
    plain = _process(raw(json.dumps(good()).encode()), Formats())
    assert framed == plain


def test_a_rejected_framed_record_keeps_its_bytes_and_its_schema_id() -> None:
    """A redrive has to read it again."""
    value = _framed({"type": "track"})
    (output,) = _process(raw(value, [SCHEMA_ID]))
    assert output.role is Role.DEAD_LETTER
    assert output.value == value
    assert SCHEMA_ID in output.headers


def test_a_schema_that_is_unknown_is_the_reason_of_a_dead_letter() -> None:
    """The function that reads values says why it can't; the record is kept as it is."""
    value = _framed(good(), schema=9)
    (output,) = _process(raw(value))
    assert (output.reason, output.value) == ("schema_unknown", value)


def test_a_rejected_item_of_a_framed_batch_is_an_envelope_of_json() -> None:
    """The schema's id is not carried: it names the schema of the raw value."""
    outputs = _process(raw(_framed({"batch": [good(), {"type": "track"}]}), [SCHEMA_ID]))
    assert outcomes(outputs) == ("enriched", "event_not_defined")
    assert json.loads(outputs[1].value or b"") == {"batch": [{"type": "track"}]}
    assert header(outputs[1], VALUE_SCHEMA_ID) is None


@pytest.mark.parametrize("formats", [Formats(), Formats(read=_unframe)])
def test_a_schema_id_that_was_sent_is_no_header_of_an_enriched_event(formats: Formats) -> None:
    """A consumer would trust the id, which is that of the raw value, or forged."""
    (output,) = _process(raw(good(), [SCHEMA_ID, ("trace", b"1")]), formats)
    assert [name for name, _ in output.headers if not name.startswith("track.")] == ["trace"]


def test_a_forwarded_framed_call_is_carried_as_it_is() -> None:
    """Bytes and headers belong together."""
    value = _framed(good(type="page"))
    (output,) = _process(raw(value, [SCHEMA_ID]), on_other_type="forward")
    assert (output.role, output.value) == (Role.OTHER, value)
    assert SCHEMA_ID in output.headers


def test_a_framed_event_has_the_size_of_its_text() -> None:
    """A short record can stand for a long event."""
    limits = {"max_event_bytes": 50}
    assert outcomes(_process(raw(_framed(good())), limits=limits)) == ("event_too_large",)


def test_tools_read_the_text_of_a_framed_record() -> None:
    """None when it can't be read, as for a record without a value."""
    processor = Processor(ContractSettings(), IDENTITY, Formats(read=_unframe))
    assert processor.text(raw(_framed([1]))) == b"[1]"
    assert processor.text(raw(b"[1]")) == b"[1]"
    assert processor.text(raw(_framed([1], schema=9))) is None
    assert processor.text(raw(None)) is None


def test_typed_values_are_those_of_the_rules() -> None:
    """Times in epoch milliseconds, amounts with all their digits, unknown fields as JSON."""
    written = Written("enriched")
    event = good(
        originalTimestamp="2015-12-12T19:11:00Z",
        sentAt="2015-12-12T19:11:01Z",
        properties={"revenue": "19.990", "currency": "eur", "value": 12},
        unknown={"a": 1},
    )
    (output,) = _process(raw(event), Formats(enriched=written.form))
    typed = written.typed
    assert (output.value, written.others) == (b"track", b'"unknown":{"a":1}')
    assert (typed.timestamp, typed.original_timestamp) == (1449947461152, 1449947460000)
    assert (typed.sent_at, typed.received_at) == (1449947461000, 1449947461266)
    assert (typed.revenue, typed.value, typed.currency) == (Decimal("19.990"), 12, "EUR")


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({}, (None, None, None)),
        ({"value": "x"}, (None, None, None)),
        ({"revenue": 5}, (5, None, "USD")),
        ({"revenue": "x", "currency": "EUR"}, (None, None, "EUR")),
        ({"revenue": 5, "currency": "x"}, (5, None, None)),
        ({"revenue": None, "currency": " "}, (None, None, None)),
        ({"currency": "usd"}, (None, None, "USD")),
        ({"revenue": 10**29}, (None, None, "USD")),
    ],
)
def test_what_a_rule_lets_pass_has_no_typed_value(
    properties: object, expected: tuple[object, ...]
) -> None:
    """An amount of more than 38 digits, or text that is no amount, stays in the properties only."""
    typed = _typed(
        good(properties=properties), rules={"revenue_invalid": "warn", "currency_invalid": "warn"}
    )
    assert (typed.revenue, typed.value, typed.currency) == expected


def test_each_form_adds_its_own_headers() -> None:
    """The identify message has another schema than the event."""
    track, identify = Written("track"), Written("identify")
    event = good(context={"traits": {"a": 1}})
    formats = Formats(enriched=track.form, identify=identify.form)
    outputs = _process(raw(event), formats, identify=[{"event": "*"}])
    assert [output.value for output in outputs] == [b"track", b"identify"]
    assert [header(output, "form") for output in outputs] == ["track", "identify"]


def test_a_write_key_in_a_url_is_warned_about_in_every_form() -> None:
    """The event is written again, with the warning."""
    found: list[object] = []

    def write(event: EnrichedEvent, others: bytes, typed: TypedValues) -> bytes:
        del others, typed
        found.append((event.enrichment or {}).get("warnings"))
        return bytes(event.properties or b"")

    event = good(properties={"url": "https://a.example/?writeKey=1"})
    _process(raw(event), Formats(enriched=OutputForm(write)))
    assert found == [None, ["write_key_in_url /properties/url"]]
