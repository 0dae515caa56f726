"""Helpers that make a record, process it and read the outputs.

Numbers are read as `Digits`, so that a test sees how they were written, and not only their value.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, Final, NamedTuple

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.headers import DlqHeader
from pipeline.core.process import Processor
from pipeline.core.record import Headers, Output, Record, Role

TOPIC: Final = "track.raw"
PARTITION: Final = 3
OFFSET: Final = 42
SOURCE: Final = "track.raw/3/42"
TIMESTAMP: Final = 1_449_947_461_300
"""Kafka timestamp of the records, 2015-12-12T19:11:01.300Z."""
NOW: Final = 1_450_051_200_000
"""Time at which they are processed, 2015-12-14T00:00:00.000Z."""
NOW_TEXT: Final = "2015-12-14T00:00:00.000Z"
IDENTITY: Final = Identity(app="track-pipeline/test", group="the-group")

JsonObject = dict[str, Any]
Event = Mapping[str, Any] | bytes | str


class Digits(str):
    """A number as it is written in JSON."""

    __slots__ = ()

    def exact(self) -> tuple[int, tuple[int, ...], int | str]:
        """Sign, digits and exponent, which are equal for two spellings of the same digits."""
        sign, digits, exponent = Decimal(self).as_tuple()
        return sign, digits, exponent


def read(value: bytes | str | None, number: Callable[[str], Any] = Digits) -> Any:
    """Decode JSON bytes; `number` makes the numbers from their text."""
    assert value is not None
    return json.loads(value, parse_int=number, parse_float=number)


def text_of(value: Any) -> str:
    """Compact JSON of a value from `read`, with the digits that its numbers had."""
    if isinstance(value, Digits):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{text_of(k)}:{text_of(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(text_of, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def raw(
    value: Event | None,
    headers: Headers = (),
    *,
    key: bytes | None = b"key",
    timestamp: int | None = TIMESTAMP,
    topic: str = TOPIC,
    partition: int = PARTITION,
    offset: int = OFFSET,
) -> Record:
    """A raw record; an object is encoded as JSON, bytes are taken as they are."""
    if value is not None and not isinstance(value, bytes):
        value = (value if isinstance(value, str) else text_of(value)).encode()
    return Record(value, key, headers, timestamp, topic, partition, offset)


@cache
def _processor(settings: str, identity: Identity) -> Processor:
    return Processor(ContractSettings.model_validate_json(settings), identity)


def process(
    record: Record | Event | None, *, now: int = NOW, identity: Identity = IDENTITY, **settings: Any
) -> tuple[Output, ...]:
    """All outputs of a record, or of a value at the usual coordinates."""
    if not isinstance(record, Record):
        record = raw(record)
    return _processor(json.dumps(settings, sort_keys=True), identity).process(record, now)


def only(outputs: tuple[Output, ...], role: Role) -> Output:
    """The single output, which must have this role."""
    assert [output.role for output in outputs] == [role], [(o.role, o.reason) for o in outputs]
    return outputs[0]


def enrich(record: Record | Event | None, **settings: Any) -> JsonObject:
    """The enriched event, decoded; fails when there is any other output."""
    event: JsonObject = read(only(process(record, **settings), Role.ENRICHED).value, Decimal)
    return event


def warnings(event: JsonObject) -> list[str]:
    """The warnings of an enriched event."""
    found: list[str] = event["enrichment"].get("warnings", [])
    return found


class DeadLetter(NamedTuple):
    """A dead letter with its decoded headers."""

    output: Output
    headers: dict[str, str]
    """All `dlq.*` and `track.*` headers; each occurs once."""
    reasons: list[dict[str, str]]

    @property
    def broken(self) -> list[str]:
        """The violations as `code /pointer`."""
        return [f"{reason['code']} {reason['pointer']}".strip() for reason in self.reasons]


def dead_letter_of(output: Output) -> DeadLetter:
    """Decode a dead letter."""
    assert output.role is Role.DEAD_LETTER
    ours = [(name, value) for name, value in output.headers if is_ours(name)]
    headers = {name: (value or b"").decode() for name, value in ours}
    assert len(headers) == len(ours), "a header of ours occurs twice"
    return DeadLetter(output, headers, json.loads(headers[DlqHeader.REASONS]))


def reject(record: Record | Event | None, **settings: Any) -> DeadLetter:
    """The dead letter of an invalid event; fails when there is any other output."""
    return dead_letter_of(only(process(record, **settings), Role.DEAD_LETTER))


def is_ours(name: str) -> bool:
    """Whether a header name is one that only this program may write."""
    return name.startswith(("track.", "dlq."))


def header(output: Output, name: str) -> str | None:
    """The text of a header that occurs at most once."""
    values = [value for other, value in output.headers if other == name]
    assert len(values) <= 1, f"{name} occurs {len(values)} times"
    return values[0].decode() if values and values[0] is not None else None


def outcomes(outputs: tuple[Output, ...]) -> tuple[str, ...]:
    """One word per event, `enriched` or the reason code, without identify messages."""
    return tuple(
        output.reason or output.role.value for output in outputs if output.role != Role.IDENTIFY
    )


GOOD: Final[JsonObject] = {
    "type": "track",
    "event": "Order Completed",
    "messageId": "message-1",
    "userId": "user-1",
    "timestamp": "2015-12-12T19:11:01.152Z",
    "receivedAt": "2015-12-12T19:11:01.266Z",
}
"""A good event that gives no warning."""


def good(**fields: Any) -> JsonObject:
    """A good event with these fields; the value `...` removes a field."""
    return {name: v for name, v in (GOOD | fields).items() if v is not ...}
