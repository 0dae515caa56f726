"""Messages of the output topics as typed objects, the same from each format."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain
from typing import Any, Final

import pytest

from pipeline.core.contract import ContractSettings
from pipeline.core.encode import encode_event
from pipeline.core.enriched_event import EnrichedEvent
from pipeline.core.formats import Formats, OutputForm, TypedValues
from pipeline.core.process import Processor
from pipeline.core.record import Headers, Output, Role
from pipeline.reading import (
    DeadLetterMessage,
    EnrichedTrack,
    Enrichment,
    Identify,
    Problem,
    Provenance,
    Source,
    UserMessage,
    read_message,
    read_output,
)
from tests.oracle.cores import version_1
from tests.oracle.corpus import Case, files, found, generated, hostile, values
from tests.support import IDENTITY, NOW, SOURCE, process, raw
from tests.unit.reading.messages import SALE, TEXTS, Message, forms, output, read_track

_GENERATED: Final = 200
_FORMS: Final = tuple(forms(output(SALE)))


def _cases() -> Iterator[Case]:
    yield from chain(hostile(), values(), files(), generated(5, _GENERATED), found())


def _events() -> Iterator[Output]:
    for case in chain(values(), files(), generated(5, _GENERATED), found()):
        for each in process(case.record, **case.settings):
            if each.role in {Role.ENRICHED, Role.IDENTIFY}:
                yield each


@pytest.mark.parametrize("form", _FORMS)
def test_a_sale_is_typed(form: str) -> None:
    """Text, exact amounts, times of UTC, decoded parts, and where it comes from."""
    value, headers = forms(output(SALE))[form]
    sale = read_track(value, headers, TEXTS)
    assert (sale.event, sale.message_id, sale.user_id) == ("Order Completed", "m-1", "u-1")
    assert sale.anonymous_id is None
    assert (sale.revenue, sale.currency) == (Decimal("19.9000000001"), "USD")
    assert sale.value == Decimal(5)
    assert sale.timestamp == datetime(2015, 12, 12, 19, 11, 1, 249_000, UTC)
    assert sale.sent_at is None
    assert sale.properties["n"] == 2**70
    assert sale.properties["score"] == Decimal("0.1")
    assert sale.properties["revenue"] == sale.revenue
    assert sale.traits == {"plan": "pro"}
    assert sale.context == {"traits": {"plan": "pro"}, "ip": "::1"}
    assert sale.integrations == {"All": False}
    assert sale.extra == {"plan": {"of": "sender"}}
    assert sale.enrichment == Enrichment(
        currency_defaulted=True,
        timestamp_source="original",
        warnings=("number_from_string /properties/revenue",),
    )
    assert sale.provenance.source == Source("track.raw", 3, 42)
    assert (sale.provenance.contract, sale.provenance.replay) == ("2", None)


def test_all_forms_of_the_whole_corpus_are_read_alike() -> None:
    """A consumer need not know how a message was written, and loses no byte of a part."""
    for each in _events():
        first, *others = (
            read_output(value, headers, TEXTS) for value, headers in forms(each).values()
        )
        assert others == [first] * len(others)


def test_amounts_are_those_that_the_core_has_read() -> None:
    """All digits of them; and none where a rule has let a wrong one pass."""
    read = []

    def write(event: EnrichedEvent, others: bytes, typed: TypedValues) -> bytes:
        read.append((typed.revenue, typed.value, typed.currency))
        return encode_event(event, others)

    rules = {"revenue_invalid": "warn", "currency_invalid": "warn"}
    settings = ContractSettings.model_validate({"rules": rules})
    processor = Processor(settings, IDENTITY, Formats(enriched=OutputForm(write)))
    for case in (*values(), *files()):
        for each in processor.process(case.record, NOW):
            if each.role is Role.ENRICHED:
                event = read_track(each.value or b"", each.headers)
                assert (event.revenue, event.value, event.currency) == read[-1]
    assert {revenue is None for revenue, _, _ in read} == {True, False}


@pytest.mark.parametrize("currency", ["euro", "XXX", 5])
def test_a_currency_that_was_let_pass_is_none(currency: Any) -> None:
    """What the contract has warned of is no currency; it stays among the properties."""
    event = {**SALE, "properties": {"revenue": 5, "currency": currency}}
    sale = read_track(output(event, rules={"currency_invalid": "warn"}).value or b"")
    assert sale.currency is None
    assert sale.properties["currency"] == currency
    assert sale.revenue == Decimal(5)


def test_messages_of_contract_version_1_are_read() -> None:
    """While workers are replaced a topic holds both, and old data stays."""
    count = 0
    for case in chain(values(), files(), generated(5, _GENERATED)):
        for each in version_1(case):
            if each.role in {"enriched", "identify"}:
                event = read_output(each.value, each.headers)
                assert event.provenance.contract == "1"
                count += 1
            elif each.role == "dead_letter":
                assert isinstance(read_output(each.value, each.headers), DeadLetterMessage)
    assert count


def test_fields_of_a_later_contract_version_are_kept() -> None:
    """A consumer of today reads what a worker of tomorrow writes."""
    made = output(SALE)
    later = (made.value or b"").replace(
        b'"enrichment":{', b'"region":"eu","enrichment":{"score":1,'
    )
    event = read_track(later, [("track.contract", b"3;abc")])
    assert event.extra == {"region": "eu", "plan": {"of": "sender"}}
    assert event.enrichment.others == {"score": 1}
    assert (event.provenance.contract, event.provenance.contract_hash) == ("3", "abc")


def test_an_identify_message_has_the_traits_of_a_user() -> None:
    """Identify messages are told from events by their type."""
    made = output(SALE, Role.IDENTIFY, identify=[{"event": "*"}])
    for value, headers in forms(made).values():
        message = read_output(value, headers, TEXTS)
        assert isinstance(message, Identify)
        assert (message.user_id, message.traits) == ("u-1", {"plan": "pro"})


def test_times_are_exact_in_all_years() -> None:
    """The first and the last millisecond that there is."""
    for text, moment in (
        ("0001-01-01T00:00:00.001Z", datetime(1, 1, 1, 0, 0, 0, 1000, UTC)),
        ("9999-12-31T23:59:59.999Z", datetime(9999, 12, 31, 23, 59, 59, 999_000, UTC)),
    ):
        for value, headers in forms(output({**SALE, "timestamp": text})).values():
            assert read_track(value, headers, TEXTS).original_timestamp == moment


def test_headers_say_where_a_message_comes_from() -> None:
    """Replay, redrive and correction are told by our headers, of which the last one counts."""
    headers: Headers = [
        ("track.source", b"forged/0/1"),
        ("track.source", b"track.raw/3/42/7"),
        ("track.replay", b"r-1"),
        ("track.redrive", b"d-1"),
        ("track.replaces", b"track.enriched/0/9"),
        ("track.other", None),
    ]
    provenance = read_track(output(SALE).value or b"", headers).provenance
    assert provenance.source == Source("track.raw", 3, 42, 7)
    assert (provenance.replay, provenance.redrive) == ("r-1", "d-1")
    assert provenance.replaces == Source("track.enriched", 0, 9)
    assert provenance.contract is None


def test_a_dead_letter_says_what_was_rejected_and_why() -> None:
    """All problems, the raw bytes, and the facts of its headers."""
    value = b'{"event":"Sale","messageId":"m","properties":{"revenue":"1,5"}}'
    (made,) = process(raw(value))
    rejected = read_output(made.value, made.headers)
    assert isinstance(rejected, DeadLetterMessage)
    assert rejected.value == value
    assert rejected.reason == "no_user_anon_id"
    assert [problem.code for problem in rejected.problems] == ["no_user_anon_id", "revenue_invalid"]
    assert rejected.problems[1].pointer == "/properties/revenue"
    assert (rejected.stage, rejected.attempt, rejected.is_stub) == ("validate", 1, False)
    assert (rejected.event, rejected.message_id, rejected.library) == ("Sale", "m", None)
    assert rejected.failed_at == rejected.first_failed_at == datetime(2015, 12, 14, tzinfo=UTC)
    assert rejected.source_timestamp == datetime(2015, 12, 12, 19, 11, 1, 300_000, UTC)
    assert rejected.provenance.source is not None
    assert rejected.provenance.source.text() == SOURCE


def test_dead_letters_of_any_bytes_are_read() -> None:
    """Each rejected record of the corpus, also one without a value, and with headers that lie."""
    count = 0
    for case in _cases():
        for each in process(case.record, **case.settings):
            if each.role is Role.DEAD_LETTER:
                rejected = read_output(each.value, each.headers)
                assert isinstance(rejected, DeadLetterMessage)
                assert (rejected.value, rejected.reason) == (each.value, each.reason)
                count += 1
    assert count
    headers = [("dlq.reason", b"x"), ("dlq.reasons", b"[1]"), ("dlq.failed.at", b"never")]
    rejected = read_output(None, headers)
    assert isinstance(rejected, DeadLetterMessage)
    assert rejected.problems == (Problem("x", "", ""),)
    assert (rejected.failed_at, rejected.attempt, rejected.provenance.source) == (None, 1, None)


def test_a_message_of_the_client_is_read() -> None:
    """The methods of the message are called; nothing else of the client is needed."""
    made = output(SALE)
    assert read_message(Message(made.value, list(made.headers))) == read_output(
        made.value, made.headers
    )
    assert read_message(Message(made.value)) == read_output(made.value)


def test_parts_that_are_not_asked_for_are_not_decoded() -> None:
    """A number that Python can't hold harms nobody who does not look at it."""
    digits = b"9" * 5000
    event = b'{"event":"a","userId":"u","properties":{"n":%b},"score":1e99999999999999999999}'
    sale = read_track(output(event % digits).value or b"")
    assert sale.properties_json == b'{"n":%b}' % digits
    assert bytes(sale.properties["n"]) == digits


def test_json_is_json_whatever_a_header_says() -> None:
    """A header that a sender forged was once carried: it must not make an event unreadable."""
    event = read_track(output(SALE).value or b"", [("__value_schema_id", b"\x01" + b"a" * 16)])
    assert event.message_id == "m-1"


PUBLIC: Final = {
    EnrichedTrack: "event revenue value currency properties_json properties enrichment",
    UserMessage: (
        "message_id user_id anonymous_id timestamp original_timestamp sent_at received_at "
        "traits_json context_json integrations_json extra_json provenance "
        "traits context integrations extra"
    ),
    Enrichment: "currency_defaulted timestamp_source unreadable warnings others",
    Provenance: "source contract contract_hash replay redrive replaces",
    DeadLetterMessage: (
        "value is_stub reason problems stage attempt failed_at first_failed_at source_timestamp "
        "event message_id library provenance"
    ),
}
"""Attributes that consumers rely on."""


@pytest.mark.parametrize("kind", PUBLIC, ids=lambda kind: kind.__name__)
def test_public_attributes_stay(kind: type) -> None:
    """A consumer of today runs with every later version: none is renamed or removed."""
    names = {each.name for each in fields(kind)} | vars(kind).keys()
    assert set(PUBLIC[kind].split()) <= names


def test_importing_it_imports_no_client_and_no_terminal() -> None:
    """A consumer of single-object Avro or JSON needs neither."""
    code = (
        "import sys, pipeline.reading\n"
        "assert not {'confluent_kafka', 'click', 'rich', 'httpx2', 'authlib'} & sys.modules.keys()"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
