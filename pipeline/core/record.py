"""What goes into the core (`Record`) and what comes out of it (`Output`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple, Self, TypeVar

from pipeline.core.headers import TrackHeader

_Tuple = TypeVar("_Tuple", bound=tuple[Any, ...])
new_tuple: Final[Callable[[type[_Tuple], tuple[Any, ...]], _Tuple]] = tuple.__new__
"""Makes a NamedTuple from all its fields; its own constructor costs three times as much, which
counts where it is called for every event."""

Headers = Sequence[tuple[str, bytes | None]]
"""Kafka record headers in their order; a name may occur more than once."""

INVALID_HEADERS: Final[Headers] = ((TrackHeader.UNREADABLE.value, None),)
"""Stands for headers that can't be read, since a name in them is not UTF-8."""

NO_PARTITION = -1
"""`Record.partition` of a record from a file: `topic` is its name, `offset` the line."""


class OversizedValue(bytes):
    """A value that was too long to be read: without its bytes, with what identifies them."""

    size: int
    """How many bytes there are."""
    most: int
    """How many there may be."""
    sha256: str
    """Of all of them, in hexadecimal digits."""
    start: bytes
    """The first few of them."""

    def __new__(cls, size: int, most: int, sha256: str, start: bytes) -> Self:
        """See the attributes."""
        unread = super().__new__(cls)
        unread.size, unread.most, unread.sha256, unread.start = size, most, sha256, start
        return unread


class Record(NamedTuple):
    """One raw record, as read."""

    value: bytes | None
    key: bytes | None
    headers: Headers
    timestamp: int | None
    """Kafka's record timestamp, epoch milliseconds; None (or ≤ 0) when there is none."""
    topic: str
    partition: int
    offset: int


class Role(StrEnum):
    """Where an output goes; settings map each role to a topic."""

    ENRICHED = "enriched"
    DEAD_LETTER = "dead_letter"
    IDENTIFY = "identify"
    DROPPED = "dropped"
    """Goes nowhere: refused by a setting that says so. It is only counted."""


class Output(NamedTuple):
    """One record to write; exactly one of ENRICHED, DEAD_LETTER or DROPPED exists per event."""

    role: Role
    value: bytes | None
    key: bytes | None
    headers: Headers
    timestamp: int
    """Epoch milliseconds, always above 0 (the client takes 0 for "now")."""
    partition: int
    """Partition of the source record: the sink maps it (contract §5)."""
    reason: str = ""
    """Reason code of a dead letter or a dropped event; else empty."""
