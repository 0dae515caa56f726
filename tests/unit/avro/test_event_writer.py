"""Events and identify messages in Avro: what the core gives is what fastavro reads."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from pipeline.avro.encoder import event_writer
from pipeline.avro.published import AvroSchema, parsed
from pipeline.core.contract import ContractSettings
from pipeline.core.enriched_event import IDENTIFY, TRACK, EnrichedEvent
from pipeline.core.formats import Formats, OutputForm, TypedValues, WriteEvent
from pipeline.core.process import Processor
from pipeline.core.record import Role
from pipeline.errors import SchemaFileError
from tests.oracle import corpus
from tests.support import IDENTITY, NOW
from tests.unit.avro.encoding import (
    ENRICHED_TEXT,
    IDENTIFY_TEXT,
    columns,
    fields_of,
    read_by_fastavro,
    written_by_fastavro,
)
from tests.unit.avro.test_encoder import EDGES, amounts, texts, times

PREFIX: Final = b"\x00\x7f\xff\xff\xff"
ENRICHED: Final = parsed(ENRICHED_TEXT)
IDENTIFY_MESSAGE: Final = parsed(IDENTIFY_TEXT)
write_enriched: Final = event_writer(ENRICHED_TEXT, PREFIX)
write_identify: Final = event_writer(IDENTIFY_TEXT, PREFIX)


class Given(NamedTuple):
    """What a writer is given."""

    event: EnrichedEvent
    others: bytes
    typed: TypedValues


def _holds(schema: AvroSchema, write: WriteEvent, sent: Given) -> dict[str, Any]:
    """Compare the writer with fastavro, which must read the same fields; returns them."""
    fields = fields_of(schema, columns(*sent))
    value = write(*sent)
    assert value == PREFIX + written_by_fastavro(schema, fields)
    assert read_by_fastavro(schema, value.removeprefix(PREFIX)) == fields
    return fields


def _typed(**values: Any) -> TypedValues:
    typed = TypedValues()
    for name, value in values.items():
        setattr(typed, name, value)
    return typed


def _sent(text: bytes) -> Given:
    """A plain event with these properties."""
    event = EnrichedEvent(TRACK, Raw(b'"Order Completed"'), "m", properties=Raw(text))
    event.context, event.enrichment = Raw(b"{}"), {"timestampSource": "given"}
    return Given(event, b"", TypedValues())


json_texts: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
ascii_or_not: Final = st.booleans()


@st.composite
def _raw_json(draw: st.DrawFn, value: st.SearchStrategy[Any]) -> Raw:
    r"""JSON text of a value, with characters as they are or as escapes such as `\u00e9`."""
    return Raw(json.dumps(draw(value), ensure_ascii=draw(ascii_or_not)).encode())


objects: Final = _raw_json(st.dictionaries(texts, json_texts, max_size=3))
enrichments: Final = st.fixed_dictionaries(
    {},
    optional={
        "currencyDefaulted": st.just(value=True),
        "timestampSource": st.sampled_from(["given", "corrected", "original", "received"]),
        "unreadable": st.dictionaries(texts, texts, min_size=1, max_size=4),
        "warnings": st.lists(texts, min_size=1, max_size=32),
    },
)
_MEMBERS: Final = {
    "message_id": texts,
    "user_id": st.none() | texts,
    "anonymous_id": st.none() | texts,
    "context": objects,
    "integrations": st.none() | objects,
}
events: Final = st.builds(
    EnrichedEvent,
    type=st.just(TRACK),
    event=_raw_json(texts),
    properties=objects,
    traits=st.none() | _raw_json(json_texts),
    enrichment=enrichments,
    **_MEMBERS,
)
identify_messages: Final = st.builds(
    EnrichedEvent, type=st.just(IDENTIFY), traits=objects, **_MEMBERS
)
read_times: Final = st.none() | times.filter(lambda ms: ms not in EDGES[-3:])
typed_values: Final = st.builds(
    _typed,
    timestamp=read_times,
    original_timestamp=read_times,
    sent_at=read_times,
    received_at=read_times,
    revenue=st.none() | amounts | st.integers(-(10**29) + 1, 10**29 - 1),
    value=st.none() | amounts,
    currency=st.none() | st.from_regex("[A-Z]{3}", fullmatch=True),
)
other_members: Final = objects.map(lambda members: bytes(members).strip()[1:-1])


@given(
    st.builds(Given, events, other_members, typed_values)
    | st.builds(Given, identify_messages, st.just(b""), typed_values)
)
def test_outputs_are_written_like_fastavro(sent: Given) -> None:
    """Bytes are equal for all values that a field may have, and fastavro reads them back."""
    if sent.event.type == TRACK:
        _holds(ENRICHED, write_enriched, sent)
    else:
        _holds(IDENTIFY_MESSAGE, write_identify, sent)


def _checking(schema: AvroSchema, write: WriteEvent) -> OutputForm:
    """A form that compares each event with fastavro while it writes it."""

    def check(event: EnrichedEvent, others: bytes, typed: TypedValues) -> bytes:
        _holds(schema, write, Given(event, others, typed))
        return write(event, others, typed)

    return OutputForm(check)


CHECKED: Final = Formats(
    enriched=_checking(ENRICHED, write_enriched),
    identify=_checking(IDENTIFY_MESSAGE, write_identify),
)


@cache
def _processor(settings: str) -> Processor:
    return Processor(ContractSettings.model_validate_json(settings), IDENTITY, CHECKED)


def _cases() -> Iterator[corpus.Case]:
    yield from corpus.hostile()
    yield from corpus.values()
    yield from corpus.files()
    yield from corpus.found()
    yield from corpus.generated(7, 500)


def test_all_events_of_the_corpus_are_written_like_fastavro() -> None:
    """Every table, example and generator of events goes through the rules and both encoders."""
    roles = Counter[Role]()
    for case in _cases():
        processor = _processor(json.dumps(case.settings, sort_keys=True))
        roles.update(each.role for each in processor.process(case.record, NOW))
    assert roles[Role.ENRICHED] > 1_000
    assert roles[Role.IDENTIFY]


def _properties(size: int) -> bytes:
    return b'{"text":"%b"}' % (b"x" * (size - len(b'{"text":""}')))


@pytest.mark.parametrize("size", [63, 64, 8190, 8191, 8192, 8193, 1_000_000])
def test_json_texts_of_all_lengths_are_written(size: int) -> None:
    """A part may be as long as an event, longer than the lengths that are kept."""
    text = _properties(size)
    fields = _holds(ENRICHED, write_enriched, _sent(text))
    assert fields["properties"] == text.decode()
    assert len(text) == size


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        (rb'"plain"', "plain"),
        (rb'"Caf\u00e9"', "Café"),
        (rb'"a\"b\\c\/d\n"', 'a"b\\c/d\n'),
        ('"\U0001f6d2"'.encode(), "\U0001f6d2"),
        (rb'"\ud83d\uded2"', "\U0001f6d2"),
        (rb'"\u0000"', "\0"),
    ],
)
def test_event_names_are_written_as_text(sent: bytes, name: str) -> None:
    """The column has the characters of the name, and none of its quotes and escapes."""
    given_event = _sent(b"{}")
    given_event.event.event = Raw(sent)
    assert _holds(ENRICHED, write_enriched, given_event)["event"] == name


def test_enrichments_that_repeat_are_written_alike() -> None:
    """A kept encoding is that of an equal enrichment, whatever the order; long ones aren't kept."""
    for warnings in (["code /pointer"], ["code /pointer", "x" * 1_000], ["é" * 300]):
        sent = _sent(b"{}")
        for members in (["timestampSource", "warnings"], ["warnings", "timestampSource"]):
            enrichment = {"timestampSource": "received", "warnings": warnings}
            sent.event.enrichment = {name: enrichment[name] for name in members}
            _holds(ENRICHED, write_enriched, sent)


def test_amounts_beyond_the_column_are_null() -> None:
    """The digits stay in the properties."""
    sent = _sent(b'{"revenue":1e29}')._replace(typed=_typed(revenue=10**29, value=Decimal("1e40")))
    fields = read_by_fastavro(ENRICHED, write_enriched(*sent).removeprefix(PREFIX))
    assert (fields["revenue"], fields["value"]) == (None, None)
    assert fields["properties"] == '{"revenue":1e29}'


def test_a_field_that_no_event_has_is_refused() -> None:
    """A schema of other data fails at the start, and the sentence names the field."""
    fields = [{"name": "type", "type": "string"}, {"name": "session", "type": "string"}]
    text = json.dumps({"type": "record", "name": "Other", "fields": fields})
    with pytest.raises(SchemaFileError, match="no event has the field 'session'"):
        event_writer(text, b"")


def test_json_text_fits_a_column_of_text_alone() -> None:
    """A schema that makes a record of the properties is refused."""
    properties = {"type": "map", "values": "string"}
    fields = [{"name": "properties", "type": properties}]
    with pytest.raises(SchemaFileError, match="can't write values of the Avro type"):
        event_writer(json.dumps({"type": "record", "name": "Other", "fields": fields}), b"")
