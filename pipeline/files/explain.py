"""Explains what each rule does to an event, by comparing the event with its outputs.

The outcome is that of the `Processor`: nothing is decided here. Warnings and violations have a JSON
Pointer to the value that a rule acted on, which is looked up before and after. Changes without a
warning (a default, a time in canonical form) are found by comparison.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec

from pipeline.core import reasons
from pipeline.core.dead_letter import read_headers
from pipeline.core.decoded_events import DecodedEvent, DecodedRecord, decoded_events
from pipeline.core.decoded_value import decoded_value
from pipeline.core.enriched_event import OUR_FIELDS
from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.json_pointer import ABSENT, escape_name, find
from pipeline.core.json_value import JsonValue
from pipeline.core.money import is_set
from pipeline.core.origin import read_origin
from pipeline.core.process import Processor
from pipeline.core.reasons import Reason
from pipeline.core.record import Output, Record, Role
from pipeline.core.reserved import RESERVED
from pipeline.core.timestamps import format_time
from pipeline.core.write_keys import WRITE_KEY_NAMES
from pipeline.files.transform import dead_letter_line
from pipeline.settings.client_properties import MASK


class EffectKind(StrEnum):
    """Kinds of effects."""

    REJECTED = "rejected"
    WARNED = "warned"
    CHANGED = "changed"
    KEPT = "kept"


class Effect(msgspec.Struct, frozen=True):
    """Effect of one rule on one value."""

    kind: EffectKind
    code: str
    """Reason or warning code; for a change without a warning, a word such as `default`."""
    pointer: str
    """JSON Pointer to the value."""
    meaning: str
    before: Any = ABSENT
    after: Any = ABSENT

    @property
    def changes(self) -> bool:
        """Whether the value was changed."""
        return bool(self.before != self.after)


class Explanation(NamedTuple):
    """Outcome of one event, with the effects of the rules and the outputs."""

    source: str
    """Coordinates: `file:line[:index]`, or `topic/partition/offset[/index]` of a Kafka record."""
    outcome: str
    """One of enriched, dead_letter, other and dropped."""
    effects: list[Effect]
    outputs: list[Output]

    def to_dict(self) -> dict[str, Any]:
        """The explanation as values that `encode_json` accepts."""
        return {
            "source": self.source,
            "outcome": self.outcome,
            "effects": self.effects,
            "records": [_record_to_dict(output) for output in self.outputs],
        }


def _record_to_dict(output: Output) -> dict[str, Any]:
    if output.role is Role.DEAD_LETTER:
        return {"role": output.role.value, **dead_letter_line(output)}
    return {"role": output.role.value, "value": msgspec.Raw(output.value or b"null")}


def explain(processor: Processor, record: Record, now: int) -> list[Explanation]:
    """Explain all events of a record; a batch envelope has several.

    The record is read in the format of the processor, whose outputs must be JSON.
    """
    text = processor.text(record)
    decoded = decoded_events(text)
    origin = read_origin(record, accept_headers=False)
    explanations: list[Explanation] = []
    for output in processor.process(record, now):
        if output.role is Role.IDENTIFY:
            explanations[-1].outputs.append(output)
            continue
        position = len(explanations)
        dropped = origin._replace(item=position) if decoded.is_batch else origin
        source = _source(output) or dropped.source()
        index = source.removeprefix(origin.source()).lstrip(":/")
        sent, merged = _event(text, decoded, index)
        effects = [*_from_envelope(sent, merged), *_effects(output, merged, record.timestamp)]
        if output.role is Role.OTHER:  # in the format of the record
            written = record._replace(value=output.value, headers=output.headers)
            output = output._replace(value=processor.text(written))  # noqa: PLW2901
        outputs = [] if output.role is Role.DROPPED else [output]
        explanations.append(Explanation(source, output.role.value, effects, outputs))
    return explanations


def _source(output: Output) -> str:
    for name, value in output.headers:
        if name in {TrackHeader.SOURCE, DlqHeader.SOURCE} and value is not None:
            return value.decode()
    return ""


def _event(text: bytes | None, decoded: DecodedRecord, index: str) -> DecodedEvent:
    """The event at an index of a batch call; without one, the record as a whole."""
    if index or not decoded.is_batch:
        return decoded.events[int(index or 0)]
    whole = decoded_value(text)
    return DecodedEvent(whole, whole)


def _from_envelope(sent: JsonValue, merged: JsonValue) -> Iterator[Effect]:
    if type(sent) is not dict:
        return
    for name, after in merged.items():
        before = sent.get(name, ABSENT)
        if before != after:
            meaning = "merged from the batch envelope"
            yield Effect(
                EffectKind.CHANGED, "envelope", f"/{escape_name(name)}", meaning, before, after
            )


_FORWARDED: Final = "no track call; on_other_type is forward, so it is written as it is"


def _effects(output: Output, sent: JsonValue, received: int | None) -> list[Effect]:
    if output.role is Role.DEAD_LETTER:
        return list(_rejections(output, sent))
    if output.role is Role.DROPPED:
        code, pointer = Reason(output.reason), _call_pointer(sent)
        meaning = f"{code.meaning}; on_other_type is drop"
        return [Effect(EffectKind.REJECTED, code, pointer, meaning, find(sent, pointer))]
    if output.role is Role.OTHER:
        pointer = _call_pointer(sent)
        call = find(sent, pointer)
        return [Effect(EffectKind.KEPT, "forwarded", pointer, _FORWARDED, call, call)]
    enriched = decoded_value(output.value)
    if type(enriched) is not dict:
        message = "an enriched event is always an object"
        raise TypeError(message)
    warned = list(_warnings(sent, enriched))
    reported = {effect.pointer for effect in warned if effect.changes}
    unparsable = reasons.WarningCode.TIMESTAMP_UNPARSABLE
    unreadable = {effect.pointer for effect in warned if effect.code == unparsable}
    readable = {name: sent[name] for name in sent if f"/{name}" not in unreadable}
    return [*warned, *_changes(readable, enriched, reported - unreadable, received)]


def _call_pointer(sent: dict[str, Any]) -> str:
    """Pointer to the field that says that the event is another call."""
    return "/type" if is_set(sent.get("type")) else "/action"


def _rejections(dead_letter: Output, sent: JsonValue) -> Iterator[Effect]:
    for reason in msgspec.json.decode(read_headers(dead_letter.headers)[DlqHeader.REASONS]):
        code, pointer = Reason(reason["code"]), reason["pointer"]
        before = find(sent, pointer) if pointer else ABSENT
        yield Effect(EffectKind.REJECTED, code.value, pointer, reason["detail"], before)


def _warnings(sent: JsonValue, enriched: JsonValue) -> Iterator[Effect]:
    for text in enriched["enrichment"].get("warnings", ()):
        code, _, pointer = text.partition(" ")
        warning = reasons.WarningCode(code)
        before, after = find(sent, pointer), find(enriched, pointer)
        if warning is reasons.WarningCode.TIMESTAMP_UNPARSABLE:
            after = ABSENT  # another time may be in its place, which is a change of its own
        yield Effect(EffectKind.WARNED, code, pointer, warning.meaning, before, after)


def _changes(
    sent: dict[str, Any], enriched: dict[str, Any], reported: set[str], received: int | None
) -> Iterator[Effect]:
    """Changes without a warning; the source of the timestamp is always among them."""
    names = [name for name in OUR_FIELDS if name != "enrichment"]
    names += [name for name in sent if name not in OUR_FIELDS]
    pointers = [f"/{escape_name(name)}" for name in names]
    pointers += [f"/properties/{name}" for name in RESERVED]
    pointers += [f"/context/query_parameters/{name}" for name in sorted(WRITE_KEY_NAMES)]
    for pointer in pointers:
        before, after = find(sent, pointer), find(enriched, pointer)
        if pointer in {"/properties", "/context"} and type(before) is dict:
            continue  # the members that a rule reads are reported one by one
        if pointer != "/timestamp" and (pointer in reported or before == after):
            continue
        if after is ABSENT and (before is ABSENT or pointer in reported):
            continue
        kind = EffectKind.KEPT if before == after else EffectKind.CHANGED
        word, meaning = _explain_change(pointer, before, after, enriched, received)
        if pointer in _WRITE_KEYS:
            before = MASK
        yield Effect(kind, word, pointer, meaning, before, after)


_TIMES: Final = {
    "given": "timestamp next to originalTimestamp means that it was corrected before",
    "corrected": (
        "receivedAt - (sentAt - originalTimestamp) = {receivedAt} - ({sentAt} - "
        "{originalTimestamp}): corrects the error of the sender's clock"
    ),
    "original": "the sender's time; without sentAt and receivedAt it can't be corrected",
    "far_past": "the sender's time; one as old as this was never set, so it is not corrected",
    "received": "receivedAt: the event has no usable time of its own",
}
_WRITE_KEYS: Final = {
    f"{parent}/{name}" for parent in ("", "/context/query_parameters") for name in WRITE_KEY_NAMES
}
_FIXED: Final = {
    "/type": ("default", "every enriched event is marked as a track call"),
    **dict.fromkeys(_WRITE_KEYS, ("removed", "a credential; the setting keep_write_key keeps it")),
}
_TRIMMED: Final = ("trimmed", "outer white space was removed")
_NUMBER: Final = ("number_format", "written as a plain number")
_FORMATS: Final = {
    "/messageId": _TRIMMED,
    "/userId": _TRIMMED,
    "/anonymousId": _TRIMMED,
    "/traits": ("promoted", "copied from context.traits"),
    "/originalTimestamp": ("time_format", "the sender's time in canonical form: UTC, milliseconds"),
    "/sentAt": ("time_format", "in canonical form: UTC, milliseconds"),
    "/properties/revenue": _NUMBER,
    "/properties/value": _NUMBER,
    "/properties/currency": ("currency_format", "trimmed, in upper case"),
}


def _explain_change(
    pointer: str,
    before: JsonValue,
    after: JsonValue,
    enriched: dict[str, Any],
    received: int | None,
) -> tuple[str, str]:
    """Word and meaning of a change that has no code."""
    if pointer in _FIXED:
        return _FIXED[pointer]
    if after is ABSENT:
        return "not_set", "null or blank means that it is not set; removed"
    if pointer == "/timestamp":
        source = reason = enriched["enrichment"]["timestampSource"]
        if source == "original" and "sentAt" in enriched and "receivedAt" in enriched:
            reason = "far_past"
        return f"timestamp_{source}", _TIMES[reason].format_map(enriched)
    if pointer == "/receivedAt":
        return _explain_received_at(before, after, received)
    if pointer == "/properties/currency" and enriched["enrichment"].get("currencyDefaulted"):
        return "default", "no currency was sent: the setting default_currency applies"
    return _FORMATS.get(pointer, ("default", "always an object in an enriched event"))


def _explain_received_at(
    before: JsonValue, after: JsonValue, received: int | None
) -> tuple[str, str]:
    if received is not None and after == format_time(received):
        return (
            "default",
            "time of receipt: Kafka's timestamp, or --received-at for a file",
        )
    if before is not ABSENT and before is not None:
        return "time_format", "in canonical form: UTC, milliseconds"
    return "default", "the time of receipt is unknown: the sender's time is used"
