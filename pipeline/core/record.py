"""The input of the core (`Record`) and its output (`Output`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, NamedTuple, Self, TypeVar

from pipeline.core.headers import TrackHeader

_Tuple = TypeVar("_Tuple", bound=tuple[Any, ...])
new_tuple: Final[Callable[[type[_Tuple], tuple[Any, ...]], _Tuple]] = tuple.__new__
"""Makes a NamedTuple from all of its fields. Its own constructor takes three times as long, which
matters where it is called for every event."""

Headers = Sequence[tuple[str, bytes | None]]
"""Kafka record headers in order. A name may occur more than once."""

INVALID_HEADERS: Final[Headers] = ((TrackHeader.UNREADABLE.value, None),)
"""Stands for the headers of a record that has a header name which is not UTF-8."""

NO_PARTITION = -1
"""`Record.partition` of a line of a file; its `topic` is the file name, its `offset` the line."""


class OversizedValue(bytes):
    """Stands for a value that was too long to keep: no bytes, but what identifies them."""

    size: int
    """Number of bytes of the value."""
    limit: int
    """Number of bytes that a value may have."""
    sha256: str
    """SHA-256 of the whole value in hexadecimal digits."""
    start: bytes
    """The first few bytes of the value."""

    def __new__(cls, size: int, limit: int, sha256: str, start: bytes) -> Self:
        """See the attributes."""
        value = super().__new__(cls)
        value.size, value.limit, value.sha256, value.start = size, limit, sha256, start
        return value


class Record(NamedTuple):
    """One raw record as it was read."""

    value: bytes | None
    key: bytes | None
    headers: Headers
    timestamp: int | None
    """Timestamp of the Kafka record, epoch milliseconds. None (or ≤ 0) when it has none."""
    topic: str
    partition: int
    offset: int


class Role(StrEnum):
    """Kind of an output. Settings map each role to a topic."""

    ENRICHED = "enriched"
    DEAD_LETTER = "dead_letter"
    IDENTIFY = "identify"
    OTHER = "other"
    """A call that is no track call, written as it was read because a setting says so."""
    DROPPED = "dropped"
    """Written nowhere, because a setting says so. The event is only counted."""


Revenue = tuple[str, int | Decimal]
"""Currency and amount of one event's revenue, as the contract reads them. The currency is a code of
ISO 4217 or an extra code of the settings, the amount below 10^29."""


class ItemOutputs(tuple[Any, ...]):
    """Outputs of the items of a batch call; those of any other record are a plain tuple."""

    __slots__ = ()


class Output(NamedTuple):
    """One record to write. Each event has exactly one output, besides IDENTIFY messages."""

    role: Role
    value: bytes | None
    key: bytes | None
    headers: Headers
    timestamp: int
    """Kafka timestamp, epoch milliseconds. Always above 0, since the client takes 0 for "now"."""
    partition: int
    """Partition of the raw record, which decides the partition of the output (contract §5)."""
    reason: str = ""
    """Reason code of a dead letter or a dropped event; empty for other roles."""
    revenue: Revenue | None = None
    """Revenue of an enriched event or a dead letter, for statistics. None when it has none, or none
    that can be read."""


def output_bytes(output: Output) -> int:
    """Size of an output: value, key and headers."""
    value, key = output[1], output[2]
    size = (len(value) if value else 0) + (len(key) if key else 0)
    for name, sent in output[3]:
        size += len(name) + (len(sent) if sent else 0)
    return size
