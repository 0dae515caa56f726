"""What is no message of the output topics is one clear error, and says what it is."""

from __future__ import annotations

import random
from typing import Final

import pytest

from pipeline.core.record import Headers
from pipeline.reading import UnreadableOutputError, read_message, read_output
from tests.unit.reading.messages import SALE, TEXTS, Message, forms, output, read_track

_DAMAGES: Final = 2_000

WRONG: Final[dict[str, tuple[bytes | None, Headers, str]]] = {
    "tombstone": (None, (), r"no value \(a tombstone\)"),
    "empty": (b"", (), "the value has no bytes"),
    "text": (b"hello", (), r"neither JSON nor framed Avro: it begins with 68 65 6c 6c and there"),
    "array": (b"[]", (), "neither JSON nor framed Avro"),
    "cut_json": (b'{"type":"track"', (), "not one JSON object"),
    "two_documents": (b"{} {}", (), "not one JSON object"),
    "not_utf8": (b'{"type":"\xff"}', (), "not one JSON object: 'utf-8' codec can't decode"),
    "raw": (b'{"type":"track","event":"a"}', (), "a track call that was not enriched, neither"),
    "no_type": (b"{}", (), "of type None, neither"),
    "page": (b'{"type":"page"}', (), "of type 'page', neither an enriched event nor an identify"),
    "number_as_type": (b'{"type":5}', (), "its type is not text but int"),
    "cut_prefix": (b"\x00\x00", (), "00 is not followed by the 4 bytes of a schema id"),
    "id": (b"\x00\x00\x00\x00\x09ab", (), "schema id 9 is unknown: pass a Schema Registry"),
    "fingerprint": (
        b"\xc3\x0101234567ab",
        (),
        r"fingerprint 3031323334353637 is unknown: no schema up to contract version \d+ has it",
    ),
    "short_header": (
        b"ab",
        [("__value_schema_id", b"\x01ab")],
        "the header __value_schema_id is not 01 and the 16 bytes of a GUID",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_can_not_be_read_is_one_clear_error(name: str) -> None:
    """The sentence says what the message is, and what to do where something can be done."""
    value, headers, sentence = WRONG[name]
    with pytest.raises(UnreadableOutputError, match=sentence):
        read_output(value, headers)


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        (b'"messageId":5', "its messageId is not text but int"),
        (b'"timestamp":"never"', "its timestamp is not a time but str"),
        (b'"properties":[]', "its properties is not an object but list"),
        (b'"context":null', "its context is not an object but NoneType"),
        (b'"enrichment":null', "its enrichment is not an object"),
        (b'"enrichment":{"warnings":5}', "its enrichment is unusual: Expected `array`"),
        (b'"event":null', "its event is not text but NoneType"),
    ],
)
def test_a_field_of_another_type_is_named(field: bytes, sentence: str) -> None:
    """Something else has written to the topic; the sentence says which field shows it."""
    value = (output(SALE).value or b"")[:-1] + b",%b}" % field
    with pytest.raises(UnreadableOutputError, match=sentence):
        read_output(value)


def test_damage_of_any_kind_is_one_clear_error() -> None:
    """Whatever happens to bytes of a message, it is read or refused, and nothing else is raised."""
    chance = random.Random(7)  # noqa: S311  the same damage in each run
    made = list(forms(output(SALE)).values())
    refused = 0
    for _ in range(_DAMAGES):
        value, headers = chance.choice(made)
        place, length = chance.randrange(len(value)), chance.randrange(4)
        damaged = value[:place] + chance.randbytes(length) + value[place + chance.randrange(4) :]
        try:
            read_track(damaged, headers, TEXTS).properties  # noqa: B018  it is decoded now
        except UnreadableOutputError:
            refused += 1
    assert 0 < refused < _DAMAGES


def test_an_id_that_the_given_schemas_lack_is_named() -> None:
    """A mapping says how many it has."""
    with pytest.raises(UnreadableOutputError, match="id 9 is unknown: it is not among the 3"):
        read_output(b"\x00\x00\x00\x00\x09ab", (), TEXTS)


def test_a_text_that_is_no_schema_is_named() -> None:
    """Whoever passes a wrong text learns of which schema."""
    with pytest.raises(UnreadableOutputError, match="schema id 7 is no JSON"):
        read_output(b"\x00\x00\x00\x00\x07ab", (), {7: "{"})


@pytest.mark.parametrize("schema", ['"string"', '["null","string"]', '{"type":"long"}'])
def test_a_message_whose_schema_is_no_record_is_named(schema: str) -> None:
    """Any topic may have a schema of one text, or a union."""
    with pytest.raises(UnreadableOutputError, match="schema id 7 is not the schema of a record"):
        read_output(b"\x00\x00\x00\x00\x07\x02a", (), {7: schema})


def test_an_event_of_the_client_is_no_message() -> None:
    """The end of a partition, and errors, are named as such."""
    with pytest.raises(UnreadableOutputError, match="an event of the client: partition EOF"):
        read_message(Message(None, None, "partition EOF"))
