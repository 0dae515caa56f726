"""What each rule does to one event: the difference between what was sent and what comes out.

The verdict is the `Processor`'s own; nothing is judged here. Warnings and violations name the
place where a rule acted, and the values there are looked up before and after. What changes
without a warning (a default, a time in canonical form) is found by comparison.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec

from pipeline.core import reasons
from pipeline.core.batch import merge
from pipeline.core.dead_letter import read_headers
from pipeline.core.decode import decode
from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.json_pointer import ABSENT, find, step_to
from pipeline.core.json_value import JsonValue
from pipeline.core.normalise import OUR_FIELDS
from pipeline.core.origin import Origin, read_origin
from pipeline.core.process import Processor
from pipeline.core.reasons import Reason
from pipeline.core.record import Output, Record, Role
from pipeline.core.reserved import RESERVED
from pipeline.core.timestamps import format_time
from pipeline.files.transform import dead_letter_line
from pipeline.settings.client_properties import MASK

_DEEPEST: Final = 512


class Kind(StrEnum):
    """What a rule did."""

    REFUSED = "refused"
    WARNED = "warned"
    CHANGED = "changed"
    KEPT = "kept"


class Effect(msgspec.Struct, frozen=True):
    """One rule at one place."""

    kind: Kind
    code: str
    """A reason or warning code; of a change without a warning the word for it."""
    pointer: str
    """JSON Pointer into the event."""
    meaning: str
    before: Any = ABSENT
    after: Any = ABSENT

    @property
    def changes(self) -> bool:
        """Whether the value is another one now."""
        return bool(self.before != self.after)


class Explanation(NamedTuple):
    """One event's outcome, why, and what is written for it."""

    source: str
    """`file:line[:index]`, of a Kafka record `topic/partition/offset[/index]`."""
    outcome: str
    """enriched, dead_letter or dropped"""
    effects: list[Effect]
    outputs: list[Output]

    def plain(self) -> dict[str, Any]:
        """All of it as values that `encode_json` takes."""
        return {
            "source": self.source,
            "outcome": self.outcome,
            "effects": self.effects,
            "records": [_plain_record(output) for output in self.outputs],
        }


def _plain_record(output: Output) -> dict[str, Any]:
    if output.role is Role.DEAD_LETTER:
        return {"role": output.role.value, **dead_letter_line(output)}
    return {"role": output.role.value, "value": msgspec.Raw(output.value or b"null")}


def explain(processor: Processor, record: Record, now: int) -> list[Explanation]:
    """Every event of the record; a batch envelope has several."""
    decoded = decode(record.value, _DEEPEST)
    origin = read_origin(record, accept_headers=False)
    explained: list[Explanation] = []
    for output in processor.process(record, now):
        if output.role is Role.IDENTIFY:
            explained[-1].outputs.append(output)
            continue
        source = _source(output) or _source_of_dropped(origin, decoded, len(explained))
        sent, merged = _sent(decoded, source.removeprefix(origin.source()).lstrip(":/"))
        effects = [*_from_envelope(sent, merged), *_effects(output, merged, record.timestamp)]
        outputs = [] if output.role is Role.DROPPED else [output]
        explained.append(Explanation(source, output.role.value, effects, outputs))
    return explained


def _source(output: Output) -> str:
    for name, value in output.headers:
        if name in {TrackHeader.SOURCE, DlqHeader.SOURCE} and value is not None:
            return value.decode()
    return ""


def _source_of_dropped(origin: Origin, decoded: JsonValue, position: int) -> str:
    """A dropped event is only counted; its place in the batch is its turn."""
    in_batch = type(decoded) is dict and "batch" in decoded and decoded.get("event") is None
    return (origin._replace(item=position) if in_batch else origin).source()


def _sent(decoded: JsonValue, index: str) -> tuple[JsonValue, JsonValue]:
    """The event as it was sent, and with the envelope's fields below its own."""
    if not index:
        return decoded, decoded
    item = decoded["batch"][int(index)]
    return item, merge(dict(item), decoded) if type(item) is dict else item


def _from_envelope(sent: JsonValue, merged: JsonValue) -> Iterator[Effect]:
    if type(sent) is not dict:
        return
    for name, after in merged.items():
        before = sent.get(name, ABSENT)
        if before != after:
            meaning = "the batch envelope's fields lie below the event's own"
            yield Effect(Kind.CHANGED, "envelope", f"/{step_to(name)}", meaning, before, after)


def _effects(output: Output, sent: JsonValue, received: int | None) -> list[Effect]:
    if output.role is Role.DEAD_LETTER:
        return list(_refusals(output, sent))
    if output.role is Role.DROPPED:
        code, pointer = Reason(output.reason), "/type" if sent.get("type") else "/action"
        meaning = f"{code.meaning}; on_other_type is drop"
        return [Effect(Kind.REFUSED, code, pointer, meaning, find(sent, pointer))]
    enriched = decode(output.value, _DEEPEST)
    if type(enriched) is not dict:
        message = "an enriched event is always an object"
        raise TypeError(message)
    warned = list(_warnings(sent, enriched))
    told = {effect.pointer for effect in warned if effect.changes}
    return [*warned, *_changes(sent, enriched, told, received)]


def _refusals(letter: Output, sent: JsonValue) -> Iterator[Effect]:
    for reason in msgspec.json.decode(read_headers(letter.headers)[DlqHeader.REASONS]):
        code, pointer = Reason(reason["code"]), reason["pointer"]
        before = find(sent, pointer) if pointer else ABSENT
        detail = reason["detail"]
        meaning = detail if code.meaning in detail else f"{code.meaning}: {detail}"
        yield Effect(Kind.REFUSED, code.value, pointer, meaning, before)


def _warnings(sent: JsonValue, enriched: JsonValue) -> Iterator[Effect]:
    for text in enriched["enrichment"].get("warnings", ()):
        code, _, pointer = text.partition(" ")
        before, after = find(sent, pointer), find(enriched, pointer)
        yield Effect(Kind.WARNED, code, pointer, reasons.WarningCode(code).meaning, before, after)


def _changes(
    sent: dict[str, Any], enriched: dict[str, Any], told: set[str], received: int | None
) -> Iterator[Effect]:
    """What differs without a warning, and in any case where the timestamp is from."""
    names = [name for name in OUR_FIELDS if name != "enrichment"]
    names += [name for name in sent if name not in OUR_FIELDS]
    pointers = [f"/{step_to(name)}" for name in names]
    pointers += [f"/properties/{name}" for name in RESERVED]
    for pointer in pointers:
        before, after = find(sent, pointer), find(enriched, pointer)
        if pointer == "/properties" and type(before) is dict:
            continue  # its reserved properties are told one by one
        if pointer != "/timestamp" and (pointer in told or before == after):
            continue
        if after is ABSENT and (before is ABSENT or pointer in told):
            continue
        kind = Kind.KEPT if before == after else Kind.CHANGED
        word, meaning = _why(pointer, before, after, enriched, received)
        if pointer == "/writeKey":
            before = MASK
        yield Effect(kind, word, pointer, meaning, before, after)


_TIMES: Final = {
    "given": "timestamp and originalTimestamp together mean that it was corrected before",
    "corrected": (
        "receivedAt - (sentAt - originalTimestamp) = {receivedAt} - ({sentAt} - "
        "{originalTimestamp}): takes out the error of the sender's clock"
    ),
    "original": "the sender's time; without sentAt and receivedAt it can't be corrected",
    "received": "receivedAt: the event has no time of its own that can be used",
}
_FIXED: Final = {
    "/type": ("default", "every enriched event says that it is a track call"),
    "/writeKey": ("removed", "a credential; the setting keep_write_key keeps it"),
}
_TRIMMED: Final = ("trimmed", "outer white space was removed")
_NUMBER: Final = ("number_format", "written as a plain number")
_FORMATS: Final = {
    "/messageId": _TRIMMED,
    "/userId": _TRIMMED,
    "/anonymousId": _TRIMMED,
    "/traits": ("lifted", "copied from context.traits"),
    "/originalTimestamp": ("time_format", "the sender's time, in one form: UTC, milliseconds"),
    "/sentAt": ("time_format", "in one form: UTC, milliseconds"),
    "/properties/revenue": _NUMBER,
    "/properties/value": _NUMBER,
    "/properties/currency": ("currency_format", "trimmed and in capital letters"),
}


def _why(
    pointer: str,
    before: JsonValue,
    after: JsonValue,
    enriched: dict[str, Any],
    received: int | None,
) -> tuple[str, str]:
    """A word and a sentence for a change that has no code."""
    if pointer in _FIXED:
        return _FIXED[pointer]
    if after is ABSENT:
        return "not_set", "null or blank means not set; left out"
    if pointer == "/timestamp":
        source = enriched["enrichment"]["timestampSource"]
        return f"timestamp_{source}", _TIMES[source].format_map(enriched)
    if pointer == "/receivedAt":
        return _why_received(before, after, received)
    if pointer == "/properties/currency" and enriched["enrichment"].get("currencyDefaulted"):
        return "default", "no currency was sent: the setting default_currency is assumed"
    return _FORMATS.get(pointer, ("default", "always an object in an enriched event"))


def _why_received(before: JsonValue, after: JsonValue, received: int | None) -> tuple[str, str]:
    if received is not None and after == format_time(received):
        return (
            "default",
            "when the record was received: Kafka's timestamp, or --received-at of a file",
        )
    if before is not ABSENT and before is not None:
        return "time_format", "in one form: UTC, milliseconds"
    return "default", "nothing tells when it was received: the sender's time stands for it"
