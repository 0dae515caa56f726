"""One output as it is compared: its source, its offset, and a digest of its content.

The same function digests expected and existing outputs, so equal digests mean equal bytes: value,
key and headers, except headers that only say when the output was written and by whom.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

import msgspec

from pipeline.core.coordinates import Source
from pipeline.core.headers import CONNECT_PREFIX, DlqHeader, TrackHeader
from pipeline.core.reasons import Reason, Stage
from pipeline.core.record import Headers, Record, Role

SOURCE: Final = TrackHeader.SOURCE.value
CONTRACT: Final = TrackHeader.CONTRACT.value
REPLAY: Final = TrackHeader.REPLAY.value
REDRIVE: Final = TrackHeader.REDRIVE.value
_TRACE_PARENT: Final = TrackHeader.TRACE_PARENT.value
_DIGEST_BYTES: Final = 16

WHEN_AND_WHO: Final = frozenset(
    {
        DlqHeader.FAILED_AT,
        DlqHeader.FIRST_FAILED_AT,
        DlqHeader.ATTEMPT,
        DlqHeader.GROUP,
        DlqHeader.APP,
    }
)
_REFUSAL: Final = frozenset({DlqHeader.REASON, DlqHeader.REASONS, DlqHeader.STAGE})
_SET_ASIDE: Final = frozenset({Stage.PRODUCE.value.encode(), Stage.CRASH.value.encode()})
_SCHEMA_UNKNOWN: Final = Reason.SCHEMA_UNKNOWN.value.encode()
"""Reason that a registry decides on, which may have learnt the schema since."""


OTHER_RULES: Final = 1
"""Mark of an output that was written under a different contract than the audit's."""
SET_ASIDE: Final = 2
"""Mark of a dead letter whose reason is outside the rules: the broker rejected the record, the
program crashed, or the registry did not know a schema."""
POINTER: Final = 4
"""Mark of a dead letter that only points to its raw record."""
REPLAYED: Final = 8
"""Mark of an output that a replay has written."""
REDRIVEN: Final = 16
"""Mark of an output that a redrive has written."""


class OutputRow(NamedTuple):
    """One existing output, reduced to what is needed to compare it; it is kept on disk."""

    topic: str
    partition: int
    offset: int
    item: int
    """Topic, partition, offset and item are the `Source` of the output."""
    role: str
    out_partition: int
    out_offset: int
    """Partition and offset of the output itself."""
    digest: bytes
    timestamp: int
    """Kafka timestamp, epoch milliseconds; 0 when there is none, and for dead letters."""
    key: bytes | None
    """Short hash of the record key."""
    marks: int
    """Sum of the marks above that apply."""
    revenue: str | None = None
    """Revenue in the output, as `RevenueReader` writes it, when revenue is audited."""

    @property
    def source(self) -> Source:
        """Coordinates of the raw event that the output was made from."""
        return Source(self.topic, self.partition, self.offset, self.item)


class OutputFacts(NamedTuple):
    """What the headers of an output say."""

    source: bytes
    contract: bytes
    excluded: str
    """Why the output is not compared: `replayed` or `redriven`; empty when it is."""
    marks: int
    """Sum of the marks above that apply."""


def read_output(record: Record, role: Role, contract: bytes) -> OutputFacts:
    """Read the headers of an output; `contract` is the one that the audit uses."""
    source_name = DlqHeader.SOURCE.value if role is Role.DEAD_LETTER else SOURCE
    source = rules = b""
    excluded, marks = "", 0
    for name, value in record.headers:
        if name == source_name:
            source = value or b""
        elif name == CONTRACT:
            rules = value or b""
        elif name in {REPLAY, DlqHeader.REPLAY}:
            excluded = "replayed"
        elif name == REDRIVE:
            excluded = "redriven"
        elif _is_outside_rules(name, value):
            marks |= SET_ASIDE
        elif name == DlqHeader.POINTER:
            marks |= POINTER
    if rules != contract:
        marks |= OTHER_RULES
    return OutputFacts(source, rules, excluded, marks)


def output_digest(role: Role, value: bytes | None, key: bytes | None, headers: Headers) -> bytes:
    """Digest everything that must be equal, except the timestamp."""
    if headers and headers[-1][0] == _TRACE_PARENT:
        headers = headers[:-1]  # says who wrote it; a session adds it behind all others
    if role is Role.DEAD_LETTER:
        headers = _compared(headers)
    facts = msgspec.msgpack.encode((value is None, key, headers))
    digest = hashlib.blake2b(facts, digest_size=_DIGEST_BYTES)
    digest.update(value or b"")
    return digest.digest()


def _compared(headers: Headers) -> Headers:
    """Headers of a dead letter that do not depend on when it was written and by whom.

    Kafka Connect's headers are left out because they come from a setting outside the contract. A
    dead letter for a reason outside the rules is not held to the rules' reason.
    """
    refused_by_rules = not any(_is_outside_rules(name, value) for name, value in headers)
    left_out = WHEN_AND_WHO if refused_by_rules else WHEN_AND_WHO | _REFUSAL
    return [
        header
        for header in headers
        if header[0] not in left_out and not header[0].startswith(CONNECT_PREFIX)
    ]


def _is_outside_rules(name: str, value: bytes | None) -> bool:
    """Whether a header of a dead letter states a reason that is outside the rules."""
    if name == DlqHeader.STAGE:
        return value in _SET_ASIDE
    return name == DlqHeader.REASON and value == _SCHEMA_UNKNOWN


def key_hash(key: bytes | None) -> bytes | None:
    """Hash a key to eight bytes; two keys with the same hash are practically impossible."""
    return None if key is None else hashlib.blake2b(key, digest_size=8).digest()
