r"""Records that can't be decoded as they are: what is saved of them, and what is said of the rest.

Half of a surrogate pair (`\ud83d`) is replaced; of a batch call, the items that can be read are
kept (contract §1 and §2). The outcomes of many more are in `tests/hostile.py`.
"""

from __future__ import annotations

import gzip
from typing import Final

import pytest

from pipeline.core.decoded_events import decoded_events
from pipeline.core.reasons import Invalid
from pipeline.core.record import Role
from tests.hostile import BOM, EVENT, batch, with_field, with_property, with_revenue
from tests.support import dead_letter_of, enrich, outcomes, process, read, reject, warnings

HALF: Final = with_property(rb'["x","\ud83d"]')
NAN: Final = with_property(b"NaN")
REJECT: Final = {"lone_surrogate": "reject"}
REPLACED: Final = "lone_surrogate_replaced"


def test_halves_are_replaced_and_named() -> None:
    """The event is kept with U+FFFD, and a warning for each string that was changed."""
    event = enrich(HALF[:-1] + rb',"x\ude00":{"y":"\ude00 z"},"messageId":"m\ud83d"}')
    assert event["properties"]["free"] == ["x", "\ufffd"]
    assert event["x\ufffd"] == {"y": "\ufffd z"}
    assert event["messageId"] == "m\ufffd"
    changed = ("/properties/free/1", "/x\ufffd", "/x\ufffd/y", "/messageId")
    for pointer in changed:
        assert f"{REPLACED} {pointer}" in warnings(event)


def test_the_rest_is_carried_as_it_is() -> None:
    """Other escapes and numbers keep their spelling beside a half, a byte order mark or not."""
    value = with_property(rb'["\u0041\ud83d\ude00\ud83d", 1e3]')
    for sent in (value, BOM + value):
        (output,) = process(sent)
        assert rb'["\u0041\ud83d\ude00\ufffd", 1e3]' in (output.value or b"")


def test_halves_can_be_rejected() -> None:
    """With rules.lone_surrogate = reject the event is a dead letter, in a batch alone."""
    assert reject(HALF, rules=REJECT).broken == ["invalid_utf8"]
    assert "half of a surrogate pair" in reject(HALF, rules=REJECT).reasons[0]["detail"]
    shared = batch(EVENT, rest=rb',"context":{"a":"\ud83d"}')
    assert outcomes(process(batch(EVENT, HALF), rules=REJECT)) == ("enriched", "invalid_utf8")
    assert outcomes(process(shared, rules=REJECT)) == ("invalid_utf8",)


def test_halves_in_shared_fields_are_named() -> None:
    """Each item has a warning for what it inherits, none for the envelope's other fields."""
    rest = rb',"context":{"page":{"title":"\ud83d"}},"other":"\ud83d"'
    outputs = process(batch(EVENT, HALF, rest=rest))
    first, second = (read(output.value) for output in outputs)
    assert first["context"] == {"page": {"title": "\ufffd"}}
    named = [warning for warning in warnings(first) if warning.startswith(REPLACED)]
    assert named == [f"{REPLACED} /context/page/title"]
    assert f"{REPLACED} /properties/free/1" in warnings(second)


def test_dead_letters_have_the_bytes_as_sent() -> None:
    """A dead letter shows neither replaced halves nor anything of other items."""
    wrong = with_revenue(rb'"\ud83d"')
    shared = rb' , "context" : {"a":"\ud83d"}'
    assert reject(wrong).output.value == wrong
    outputs = process(batch(EVENT, wrong, NAN, rest=shared))
    assert outcomes(outputs) == ("enriched", "revenue_invalid", "invalid_json")
    assert outputs[1].value == batch(wrong, rest=shared)
    assert outputs[2].value == batch(NAN, rest=shared)


def test_dead_letters_of_bad_items_can_be_replayed() -> None:
    """The dead letter of a bad item gives the same dead letter again."""
    outputs = process(batch(EVENT, NAN, EVENT, rest=b',"sentAt":null'))
    again = reject(outputs[1].value)
    assert again.output.value == outputs[1].value
    assert again.broken == dead_letter_of(outputs[1]).broken == ["invalid_json"]


def test_good_items_are_as_without_a_bad_one() -> None:
    """A bad neighbour changes nothing in the other items, which inherit from the envelope."""
    rest = b',"context":{"ip":"::1"},"sentAt":"2015-12-12T19:11:01Z"'
    items = [with_field(b"messageId", b'"m%d"' % number) for number in range(3)]
    good = process(batch(*items, rest=rest))
    mixed = process(batch(items[0], items[1], items[2], NAN, rest=rest))
    assert [output.value for output in mixed[:3]] == [output.value for output in good]
    assert [output.headers for output in mixed[:3]] == [output.headers for output in good]
    assert mixed[3].role is Role.DEAD_LETTER


@pytest.mark.parametrize(
    ("value", "code", "says"),
    [
        (gzip.compress(EVENT, mtime=0), "invalid_utf8", "gzip data"),
        (EVENT.decode().encode("utf-16"), "invalid_utf8", "UTF-16"),
        (EVENT.decode().encode("utf-16-le"), "invalid_utf8", "UTF-16"),
        (b"\x00\x00\x00\x00\x07" + EVENT, "invalid_json", "Schema Registry"),
        (b"event=Order+Completed", "invalid_json", "form data"),
        (b"[" + EVENT + b"]", "not_an_object", "an array of events"),
        (b'"{\\"event\\":\\"E\\"}"', "not_an_object", "an event inside a JSON string"),
        (batch(b'"{\\"event\\":1}"'), "not_an_object", "an event inside a JSON string"),
    ],
    ids=["gzip", "utf_16", "utf_16_le", "registry", "form", "array", "text", "text_in_batch"],
)
def test_details_say_what_it_looks_like(value: bytes, code: str, says: str) -> None:
    """The detail of a usual mistake names it; the code is that of any other such value."""
    (reason,) = reject(value).reasons
    assert reason["code"] == code
    assert f"; it looks like {says}" in reason["detail"] or says in reason["detail"]
    assert len(reason["detail"]) < 200


def test_position_and_lookalike_stand_together() -> None:
    """The byte that a detail names counts from the first byte of the record."""
    plain = reject(b"event=a&userId=b").reasons[0]["detail"]
    marked = reject(BOM + b"event=a&userId=b").reasons[0]["detail"]
    assert "(byte 0); it looks like form data" in plain
    assert "(byte 3); it looks like form data" in marked


def test_other_calls_are_forwarded_as_they_were_sent() -> None:
    """A page call with half of a surrogate pair keeps its bytes, alone or in a batch."""
    page = rb'{"type":"page","userId":"u1","name":"\ud83d"}'
    (output,) = process(page, on_other_type="forward")
    assert (output.role, output.value) == (Role.OTHER, page)
    outputs = process(batch(page, NAN), on_other_type="forward")
    assert (outputs[0].role, outputs[0].value) == (Role.OTHER, batch(page))


def test_tools_see_the_same_events() -> None:
    """Items and halves are read by tools as they are by the worker."""
    record = decoded_events(batch(HALF, NAN, rest=rb',"context":{"a":"\ud83d"}'))
    assert record.is_batch
    first, second = record.events
    assert first.sent["properties"] == {"free": ["x", "\ufffd"]}
    assert first.merged["context"] == {"a": "\ufffd"}
    assert type(second.merged) is Invalid
    assert decoded_events(HALF).events[0].sent["userId"] == "u1"
    assert decoded_events(b'{"batch":[],"a":"\\ud83d"}').is_batch is False


def test_half_in_a_key_that_is_too_long_to_be_named() -> None:
    """The pointer of such a key is empty; the items of the envelope are enriched all the same."""
    key = b'"' + b"k" * 250 + b'"'
    (output,) = process(b"{" + key + b':"\\ud800","batch":[' + EVENT + b"]}")
    assert output.role is Role.ENRICHED


def test_item_of_any_depth_is_rejected_alone() -> None:
    """An item's neighbours are good, wherever the interpreter's own limit is."""
    for levels in range(600, 1_100):
        deep = b'{"event":"E","userId":"u","p":' + b"[" * levels + b"]" * levels + b"}"
        good, bad = process(batch(EVENT, deep))
        assert (good.role, bad.role, bad.reason) == (Role.ENRICHED, Role.DEAD_LETTER, "too_deep")


def test_field_batch_of_any_depth() -> None:
    """An event with a field `batch` is too deep like any other."""
    for levels in range(600, 1_100):
        (output,) = process(EVENT[:-1] + b',"batch":' + b"[" * levels + b"]" * levels + b"}")
        assert (output.role, output.reason) == (Role.DEAD_LETTER, "too_deep")
