"""One output as the audit compares it: whose it is, where it stands, and a print of what it holds.

The same function takes the print of what is expected and of what is there, so that equal prints
mean equal bytes: value, key and headers, less those that tell only when and by whom.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

import msgspec

from pipeline.core.coordinates import Source
from pipeline.core.headers import CONNECT_PREFIX, DlqHeader, TrackHeader
from pipeline.core.reasons import Stage
from pipeline.core.record import Headers, Record, Role

SOURCE: Final = TrackHeader.SOURCE.value
CONTRACT: Final = TrackHeader.CONTRACT.value
REPLAY: Final = TrackHeader.REPLAY.value
REDRIVE: Final = TrackHeader.REDRIVE.value
_PRINT_BYTES: Final = 16

WHEN_AND_WHO: Final = frozenset(
    {
        DlqHeader.FAILED_AT,
        DlqHeader.FIRST_FAILED_AT,
        DlqHeader.ATTEMPT,
        DlqHeader.GROUP,
        DlqHeader.APP,
    }
)
_VERDICT: Final = frozenset({DlqHeader.REASON, DlqHeader.REASONS, DlqHeader.STAGE})
_SET_ASIDE: Final = frozenset({Stage.PRODUCE.value.encode(), Stage.CRASH.value.encode()})


OTHER_RULES: Final = 1
"""Mark of an output that was written under another contract than the audit's."""
SET_ASIDE: Final = 2
"""Of a letter for a reason outside the rules: the broker refused, or the program crashed."""
POINTER: Final = 4
"""Of a letter that only points to the raw record."""
REPLAYED: Final = 8
"""Of an output that a replay has written."""
REDRIVEN: Final = 16
"""Of an output that the desk has sent again."""


class Found(NamedTuple):
    """One output; this is what the audit keeps of it, and on disk when there are many."""

    topic: str
    partition: int
    offset: int
    item: int
    """These four are its `Source`."""
    role: str
    out_partition: int
    out_offset: int
    """Where it stands."""
    print: bytes
    timestamp: int
    """Kafka's, epoch milliseconds; 0 when there is none, and of letters."""
    key: bytes | None
    """Short hash of the key."""
    marks: int
    """What is special about it: a sum of the marks above."""
    cash: str | None = None
    """Its money, as `audit_money` reads it, when it was asked for."""

    @property
    def source(self) -> Source:
        """Whose it is."""
        return Source(self.topic, self.partition, self.offset, self.item)


class Reading(NamedTuple):
    """An output's headers, read as far as the audit needs them."""

    source: bytes
    contract: bytes
    apart: str
    """Why it is not compared: `replayed` or `redriven`; else empty."""
    marks: int
    """What is special about it: the sum of the marks above."""


def read_output(record: Record, role: Role, contract: bytes) -> Reading:
    """Whose an output is, and what is special about it; `contract` is the audit's."""
    source_name = DlqHeader.SOURCE.value if role is Role.DEAD_LETTER else SOURCE
    source = rules = b""
    apart, marks = "", 0
    for name, value in record.headers:
        if name == source_name:
            source = value or b""
        elif name == CONTRACT:
            rules = value or b""
        elif name in {REPLAY, DlqHeader.REPLAY}:
            apart = "replayed"
        elif name == REDRIVE:
            apart = "redriven"
        elif name == DlqHeader.STAGE and value in _SET_ASIDE:
            marks |= SET_ASIDE
        elif name == DlqHeader.POINTER:
            marks |= POINTER
    if rules != contract:
        marks |= OTHER_RULES
    return Reading(source, rules, apart, marks)


def print_of(role: Role, value: bytes | None, key: bytes | None, headers: Headers) -> bytes:
    """A print of everything that must be equal but the timestamp."""
    if role is Role.DEAD_LETTER:
        headers = _compared(headers)
    facts = msgspec.msgpack.encode((value is None, key, headers))
    made = hashlib.blake2b(facts, digest_size=_PRINT_BYTES)
    made.update(value or b"")
    return made.digest()


def _compared(headers: Headers) -> Headers:
    """A letter's headers that do not depend on when and by whom it was written.

    Kafka Connect's are a setting that is not part of the contract. The verdict of a letter that was
    set aside is its own.
    """
    stage = next((value for name, value in headers if name == DlqHeader.STAGE), None)
    left_out = WHEN_AND_WHO | _VERDICT if stage in _SET_ASIDE else WHEN_AND_WHO
    return [
        header
        for header in headers
        if header[0] not in left_out and not header[0].startswith(CONNECT_PREFIX)
    ]


def key_hash(key: bytes | None) -> bytes | None:
    """Eight bytes for a key; two keys that share them are practically impossible."""
    return None if key is None else hashlib.blake2b(key, digest_size=8).digest()
