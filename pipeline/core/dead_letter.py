"""Dead letters (contract §6): how their headers are written and read.

The value of a dead letter is the refused bytes, untouched; everything that we say about it is in
its headers. They are replaced when a record fails again, never appended, and stay under 8 KiB.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from pipeline.core.contract import Identity
from pipeline.core.headers import CONNECT_PREFIX, OUR_PREFIXES, DlqHeader, TrackHeader
from pipeline.core.json_value import JsonValue
from pipeline.core.origin import Origin
from pipeline.core.reasons import Invalid, Violation
from pipeline.core.record import Headers, Output, OversizedValue, Role
from pipeline.core.timestamps import format_time

VERSION: Final = "1"
MAX_REASONS: Final = 16
MAX_DETAIL: Final = 200
MAX_REASONS_BYTES: Final = 4000
MAX_FACT: Final = 200
MAX_FACT_BYTES: Final = 400
CONNECT_CLASS: Final = "pipeline.core.process.Processor"
"""What our letters name as the class that failed, which tells them from Kafka Connect's own."""
_WRITTEN: Final = frozenset([*(header.value for header in DlqHeader), TrackHeader.CONTRACT.value])


class RejectedEvent(NamedTuple):
    """What is known of a refused event."""

    value: bytes | None
    key: bytes | None
    headers: Headers
    """The sender's own."""
    partition: int
    """Of the raw record as read."""
    origin: Origin
    invalid: Invalid
    event: Any = None
    """The decoded event, as far as it could be decoded."""


class DeadLetterWriter:
    """Turns refusals into outputs; knows who refuses and under which contract."""

    def __init__(self, identity: Identity, contract: str, *, connect_headers: bool) -> None:
        self._identity = identity
        self._contract = contract
        self._connect_headers = connect_headers

    def write(self, letter: RejectedEvent, now: int) -> Output:
        """The dead letter; its Kafka timestamp is `now`, so that retention counts from now."""
        ours = self._headers(letter, now)
        headers = [*letter.headers, *((name, text.encode()) for name, text in ours.items())]
        if self._connect_headers:
            headers = _with_connect_headers(headers, letter, self._identity)
        reason = letter.invalid.violations[0].code.value
        output = Output(
            Role.DEAD_LETTER, letter.value, letter.key, headers, now, letter.partition, reason
        )
        return pointer_to(output) if isinstance(letter.value, OversizedValue) else output

    def _headers(self, letter: RejectedEvent, now: int) -> dict[str, str]:
        origin, failed_at = letter.origin, format_time(now)
        headers: dict[str, str] = {
            DlqHeader.VERSION: VERSION,
            DlqHeader.REASON: letter.invalid.violations[0].code.value,
            DlqHeader.REASONS: _reasons(letter.invalid.violations),
            DlqHeader.STAGE: letter.invalid.stage.value,
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
        headers.update(_facts(letter.event))
        return {name: text for name, text in headers.items() if text}


def _reasons(violations: Sequence[Violation]) -> str:
    """JSON array of `{code, pointer, detail}`; fewer of them rather than too many bytes."""
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
    r"""Control and other unprintable characters as \x.. or \u.... escapes."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )


def _facts(event: JsonValue) -> dict[str, str]:
    """What helps to find the sender, when it is readable."""
    if type(event) is not dict:
        return {}
    facts: dict[str, str] = {}
    for header, name in ((DlqHeader.EVENT, "event"), (DlqHeader.MESSAGE_ID, "messageId")):
        if type(event.get(name)) is str:
            facts[header] = _clip(event[name])
    context = event.get("context")
    library = context.get("library") if type(context) is dict else None
    if type(library) is dict:
        parts = (library.get("name"), library.get("version"))
        facts[DlqHeader.LIBRARY] = _clip("/".join(part for part in parts if type(part) is str))
    return facts


def _clip(text: str) -> str:
    """At most 200 characters and 400 bytes, cut between characters."""
    clipped = text[:MAX_FACT].encode()[:MAX_FACT_BYTES]
    return clipped.decode(errors="ignore")


def _with_connect_headers(
    headers: list[tuple[str, bytes | None]], letter: RejectedEvent, identity: Identity
) -> list[tuple[str, bytes | None]]:
    """The ten headers of Kafka Connect's dead letters, which existing Kafka UIs read."""
    origin, violation = letter.origin, letter.invalid.violations[0]
    values = {
        "topic": origin.topic,
        "partition": str(origin.partition),
        "offset": str(origin.offset),
        "connector.name": _clip(identity.group or identity.app),
        "task.id": "0",
        "stage": letter.invalid.stage.value.upper(),
        "class.name": CONNECT_CLASS,
        "exception.class.name": violation.code.value,
        "exception.message": one_line(violation.detail)[:MAX_DETAIL],
        "exception.stacktrace": "",
    }
    kept = [header for header in headers if not header[0].startswith(CONNECT_PREFIX)]
    return kept + [(CONNECT_PREFIX + name, text.encode()) for name, text in values.items()]


def pointer_to(letter: Output) -> Output:
    """A small stand-in for a letter that its topic can't take, or for a value that was not read.

    It tells where the raw record is, and what finds it again.
    """
    if isinstance(letter.value, OversizedValue):
        size, sha256 = letter.value.size, letter.value.sha256
    else:
        value = letter.value or b""
        size, sha256 = len(value), hashlib.sha256(value).hexdigest()
    source = read_headers(letter.headers)[DlqHeader.SOURCE]
    pointer = {DlqHeader.POINTER: source, "sha256": sha256, "size": size}
    ours = [header for header in letter.headers if header[0].startswith(OUR_PREFIXES)]
    return letter._replace(
        value=json.dumps(pointer).encode(), key=None, headers=[*ours, (DlqHeader.POINTER, b"1")]
    )


def read_headers(headers: Headers) -> dict[str, str]:
    """The text of the headers that `DeadLetterWriter` wrote, by name."""
    return {
        name: value.decode(errors="replace")
        for name, value in headers
        if value is not None and name in _WRITTEN
    }
