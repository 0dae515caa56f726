"""Writes dead letters (contract §6), and reads the headers that it has written.

The value of a dead letter is the rejected bytes, unchanged. All information about the rejection is
in its headers, which are replaced when a record fails again, never appended, and take less than
8 KiB.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from tests.oracle.contract_1.contract import Identity
from tests.oracle.contract_1.headers import CONNECT_PREFIX, OUR_PREFIXES, DlqHeader, TrackHeader
from tests.oracle.contract_1.json_value import JsonValue
from tests.oracle.contract_1.origin import Origin
from tests.oracle.contract_1.reasons import Invalid, Violation
from tests.oracle.contract_1.record import Headers, Output, OversizedValue, Role
from tests.oracle.contract_1.timestamps import format_time

VERSION: Final = "1"
MAX_REASONS: Final = 16
MAX_DETAIL: Final = 200
MAX_REASONS_BYTES: Final = 4000
MAX_TEXT: Final = 200
MAX_TEXT_BYTES: Final = 400
CONNECT_CLASS: Final = "pipeline.core.process.Processor"
"""Class that our dead letters name as the one that failed, unlike those of Kafka Connect."""
_WRITTEN: Final = frozenset([*(header.value for header in DlqHeader), TrackHeader.CONTRACT.value])


class RejectedEvent(NamedTuple):
    """A rejected event, with all that its dead letter says."""

    value: bytes | None
    key: bytes | None
    headers: Headers
    """Headers of the raw record, without ours."""
    partition: int
    """Partition of the raw record that was read."""
    origin: Origin
    invalid: Invalid
    event: Any = None
    """The event as far as it was decoded; None before that."""


class DeadLetterWriter:
    """Turns rejected events into outputs."""

    def __init__(self, identity: Identity, contract: str, *, connect_headers: bool) -> None:
        self._identity = identity
        self._contract = contract
        self._connect_headers = connect_headers

    def write(self, rejected: RejectedEvent, now: int) -> Output:
        """The dead letter. Its Kafka timestamp is `now`, so that its retention starts now."""
        ours = self._headers(rejected, now)
        headers = [*rejected.headers, *((name, text.encode()) for name, text in ours.items())]
        if self._connect_headers:
            headers = _with_connect_headers(headers, rejected, self._identity)
        value, reason = rejected.value, rejected.invalid.violations[0].code.value
        output = Output(
            Role.DEAD_LETTER, value, rejected.key, headers, now, rejected.partition, reason
        )
        return pointer_to(output) if isinstance(value, OversizedValue) else output

    def _headers(self, rejected: RejectedEvent, now: int) -> dict[str, str]:
        origin, invalid, failed_at = rejected.origin, rejected.invalid, format_time(now)
        headers: dict[str, str] = {
            DlqHeader.VERSION: VERSION,
            DlqHeader.REASON: invalid.violations[0].code.value,
            DlqHeader.REASONS: _reasons(invalid.violations),
            DlqHeader.STAGE: invalid.stage.value,
            DlqHeader.SOURCE: origin.source(),
            DlqHeader.FAILED_AT: failed_at,
            DlqHeader.FIRST_FAILED_AT: origin.first_failed_at or failed_at,
            DlqHeader.ATTEMPT: str(origin.attempt),
            DlqHeader.GROUP: _clip(self._identity.group),
            DlqHeader.APP: _clip(self._identity.app),
            TrackHeader.CONTRACT: self._contract,
        }
        if origin.timestamp is not None:
            headers[DlqHeader.SOURCE_TIMESTAMP] = str(origin.timestamp)
        if self._identity.replay:
            headers[DlqHeader.REPLAY] = _clip(self._identity.replay)
        headers.update(_sender_details(rejected.event))
        return {name: text for name, text in headers.items() if text}


def _reasons(violations: Sequence[Violation]) -> str:
    """JSON array of `{code, pointer, detail}`, shortened when it takes too many bytes."""
    shown = [
        {"code": v.code.value, "pointer": v.pointer, "detail": one_line(v.detail)[:MAX_DETAIL]}
        for v in violations[:MAX_REASONS]
    ]
    while len(text := json.dumps(shown, ensure_ascii=False)) and len(text.encode()) > (
        MAX_REASONS_BYTES
    ):
        shown.pop()
    return text


def one_line(text: str) -> str:
    r"""The text with control and other unprintable characters written as \x.. or \u.... escapes."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )


def _sender_details(event: JsonValue) -> dict[str, str]:
    """Headers that help to find the sender, as far as the event is readable."""
    if type(event) is not dict:
        return {}
    details: dict[str, str] = {}
    for header, name in ((DlqHeader.EVENT, "event"), (DlqHeader.MESSAGE_ID, "messageId")):
        if type(event.get(name)) is str:
            details[header] = _clip(event[name])
    context = event.get("context")
    library = context.get("library") if type(context) is dict else None
    if type(library) is dict:
        parts = (library.get("name"), library.get("version"))
        details[DlqHeader.LIBRARY] = _clip("/".join(part for part in parts if type(part) is str))
    return details


def _clip(text: str) -> str:
    """The text truncated to 200 characters and 400 bytes, between characters."""
    clipped = text[:MAX_TEXT].encode()[:MAX_TEXT_BYTES]
    return clipped.decode(errors="ignore")


def _with_connect_headers(
    headers: list[tuple[str, bytes | None]], rejected: RejectedEvent, identity: Identity
) -> list[tuple[str, bytes | None]]:
    """The headers with the ten of Kafka Connect's dead letters, which Kafka UIs read."""
    origin, violation = rejected.origin, rejected.invalid.violations[0]
    values = {
        "topic": origin.topic,
        "partition": str(origin.partition),
        "offset": str(origin.offset),
        "connector.name": _clip(identity.group or identity.app),
        "task.id": "0",
        "stage": rejected.invalid.stage.value.upper(),
        "class.name": CONNECT_CLASS,
        "exception.class.name": violation.code.value,
        "exception.message": one_line(violation.detail)[:MAX_DETAIL],
        "exception.stacktrace": "",
    }
    kept = [header for header in headers if not header[0].startswith(CONNECT_PREFIX)]
    return kept + [(CONNECT_PREFIX + name, text.encode()) for name, text in values.items()]


def pointer_to(dead_letter: Output) -> Output:
    """A small dead letter that refers to the raw record instead of holding its value.

    For dead letters that are too large for their topic, and values that were not read. It names
    the coordinates, the size and the SHA-256 of the value.
    """
    value = dead_letter.value
    if isinstance(value, OversizedValue):
        size, sha256 = value.size, value.sha256
    else:
        value = value or b""
        size, sha256 = len(value), hashlib.sha256(value).hexdigest()
    source = read_headers(dead_letter.headers)[DlqHeader.SOURCE]
    pointer = {DlqHeader.POINTER: source, "sha256": sha256, "size": size}
    ours = [header for header in dead_letter.headers if header[0].startswith(OUR_PREFIXES)]
    return dead_letter._replace(
        value=json.dumps(pointer).encode(), key=None, headers=[*ours, (DlqHeader.POINTER, b"1")]
    )


def read_headers(headers: Headers) -> dict[str, str]:
    """Texts of the headers that a `DeadLetterWriter` has written, by name."""
    return {
        name: value.decode(errors="replace")
        for name, value in headers
        if value is not None and name in _WRITTEN
    }
