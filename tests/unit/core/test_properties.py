"""What holds for every input, searched with hypothesis."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.core.record import Record, Role
from tests.support import Digits, dead_letter_of, outcomes, process, raw, read, text_of
from tests.unit.core import strategies as some
from tests.unit.core.carried import RESERVED
from tests.unit.core.invariants import check_outputs

TIMES = ("timestamp", "originalTimestamp", "sentAt", "receivedAt")


@given(some.junk, some.header_lists)
@example(b'{"\xef\xbb\xbf', [])
@example(b"\xef\xbb\xbf" * 3, [])
@example(b'{"batch":[{}],"\\u0062atch":0}', [])
def test_any_bytes_give_outputs(value: bytes, headers: list[tuple[str, bytes | None]]) -> None:
    """Bytes of any kind give well-formed outputs, and no exception; dead letters keep the bytes."""
    record = raw(value, headers)
    outputs = process(record)
    check_outputs(record, outputs)
    if len(outputs) == 1 and outputs[0].role is Role.DEAD_LETTER and b"batch" not in value:
        assert outputs[0].value == value


@given(some.event_texts, some.header_lists, some.settings, st.none() | st.integers(-1, 2**62))
def test_almost_valid_events_have_one_outcome(
    value: bytes,
    headers: list[tuple[str, bytes | None]],
    settings: dict[str, Any],
    timestamp: int | None,
) -> None:
    """An almost valid event has one outcome under any settings, and the same when repeated."""
    record = raw(value, headers, timestamp=timestamp)
    outputs = process(record, **settings)
    assert len(outcomes(outputs)) == 1
    check_outputs(record, outputs)
    if outputs[0].role is Role.DEAD_LETTER:
        assert outputs[0].value == value
    assert process(record, **settings) == outputs


@given(some.json_texts(some.mostly_good_events), some.settings, st.none() | st.just(1))
def test_enriched_events_are_a_fixed_point(
    value: bytes, settings: dict[str, Any], timestamp: int | None
) -> None:
    """An enriched event that is processed again keeps its bytes, except for `enrichment`."""
    record = raw(value, timestamp=timestamp)
    first = process(record, **settings)[0]
    if first.role is not Role.ENRICHED:
        return
    second = process(record._replace(value=first.value), **settings)[0]
    assert second.role is Role.ENRICHED, second.reason
    before, after = _raw_fields(first.value), _raw_fields(second.value)
    was, now = read(before.pop("enrichment")), read(after.pop("enrichment"))
    assert was.get("currencyDefaulted") == now.get("currencyDefaulted")
    assert was.get("unreadable") == now.get("unreadable")
    if was.get("timestampSource") == "received":
        for name in TIMES:
            before.pop(name, None)
            after.pop(name, None)
    assert list(before.items()) == list(after.items())


@given(st.dictionaries(some.texts, some.values | some.numbers, max_size=5))
def test_every_byte_of_free_properties_survives(properties: dict[str, Any]) -> None:
    """What no rule reads comes out with the bytes that it came in."""
    free = text_of({name: value for name, value in properties.items() if name not in RESERVED})
    fields = ("properties", "integrations", "context", "unknown")
    members = [f'"{name}":{free}' for name in fields]
    (output,) = process("{" + ",".join(members) + ',"event":"e","userId":"u"}')
    written = _raw_fields(output.value)
    assert {written[name].decode() for name in fields} == {free}


def _raw_fields(value: bytes | None) -> dict[str, bytes]:
    fields = msgspec.json.decode(value or b"", type=dict[str, msgspec.Raw])
    return {name: bytes(field) for name, field in fields.items()}


def _feed_again(record: Record, value: bytes | None, settings: dict[str, Any]) -> list[Any]:
    (again,) = process(record._replace(value=value), **settings)
    return dead_letter_of(again).reasons


@given(some.envelopes(), some.header_lists, some.settings)
def test_batch_items_have_one_outcome_each(
    envelope: tuple[bytes, list[bytes], dict[str, bytes]],
    headers: list[tuple[str, bytes | None]],
    settings: dict[str, Any],
) -> None:
    """A batch has an outcome for each item; a dead letter holds its item and fails alike again."""
    value, parts, others = envelope
    record = raw(value, headers)
    outputs = process(record, **settings)
    check_outputs(record, outputs)
    outcomes = [output for output in outputs if output.role is not Role.IDENTIFY]
    assert len(outcomes) == len(parts)
    for part, output in zip(parts, outcomes, strict=True):
        if output.role is not Role.DEAD_LETTER:
            continue
        fields = _raw_fields(output.value)
        (item,) = msgspec.json.decode(fields.pop("batch"), type=list[msgspec.Raw])
        assert bytes(item) == part.strip(b" \t\n")
        assert fields == {name: text.strip(b" \t\n") for name, text in others.items()}
        assert _feed_again(record, output.value, settings) == dead_letter_of(output).reasons


def _marked(value: Any) -> Any:
    """The same shape with a secret for every text, name and number."""
    if isinstance(value, Digits):
        return Digits("7359137591375913") if "." not in value else Digits("7359137591375.913")
    if isinstance(value, str):
        return some.SECRET
    if isinstance(value, dict):
        return {f"{some.SECRET}-{name}": _marked(inner) for name, inner in value.items()}
    return [_marked(inner) for inner in value] if isinstance(value, list) else value


@given(some.events, some.settings)
def test_ids_and_traits_are_never_quoted(event: dict[str, Any], settings: dict[str, Any]) -> None:
    """No detail and no warning shows what was sent as an id or a trait."""
    for name in ("userId", "anonymousId", "user_id", "traits"):
        if name in event:
            event[name] = _marked(event[name])
    context = event.get("context")
    if isinstance(context, dict) and "traits" in context:
        event["context"] = context | {"traits": _marked(context["traits"])}
    for output in process(text_of(event), **settings):
        if output.role is Role.DEAD_LETTER:
            told = text_of(dead_letter_of(output).reasons)
        elif output.role is Role.ENRICHED:
            told = text_of(read(output.value)["enrichment"])
        else:
            continue
        assert some.SECRET not in told
        assert "73591375913" not in told
