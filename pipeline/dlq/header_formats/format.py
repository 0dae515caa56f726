"""How the headers of one system are read.

Their contents are not trusted: what is not text, or not a number, counts as absent. Whether a
number makes sense is checked by `DeadLetter`, for dead letters of all systems.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import msgspec

from pipeline.core.dead_letter import one_line
from pipeline.core.dead_letter_fields import read_number
from pipeline.core.headers import DlqHeader
from pipeline.dlq.dead_letter import UNKNOWN, Writer

Named = Mapping[str, bytes | None]
"""Header values by name."""
_LONGEST_NAME: Final = 200
_LONGEST_DETAIL: Final = 1000
"""Number of characters that are kept of a message; some systems put a stack trace into it."""
_INT: Final = 4
_LONG: Final = 8
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")


def decimal(value: bytes, _size: int) -> int | None:
    """Read a number in decimal digits; None for anything else."""
    return read_number(value.decode("ascii", errors="replace"))


def big_endian(value: bytes, size: int) -> int | None:
    """Read a Java int or long of exactly `size` bytes; None for any other length."""
    return int.from_bytes(value, "big", signed=True) if len(value) == size else None


@dataclass(frozen=True, eq=False)
class HeaderFormat:
    """Names of the headers of one system; of several, the first that can be read counts."""

    name: str
    coordinates: tuple[str, str, str] | None = None
    """Headers with topic, partition and offset of the original record."""
    timestamp: tuple[str, ...] = ()
    """Headers with the Kafka timestamp of the original record, in epoch milliseconds."""
    keeps_timestamp: bool = False
    """Whether the dead letter itself has the Kafka timestamp of the original record."""
    exception: tuple[str, ...] = ()
    """Headers with the class of an exception, whose simple name is the reason."""
    reason: tuple[str, ...] = ()
    """Headers with another text that is the reason."""
    detail: tuple[str, ...] = ()
    stage: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    attempt: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    """Other headers that the system adds, which are not read."""
    prefixes: tuple[str, ...] = ()
    """Prefixes of all headers that the system adds; empty when others may use them, too."""
    needed: frozenset[str] = frozenset()
    """Headers without which a record is not of this system."""
    number: Callable[[bytes, int], int | None] = decimal
    """Reads a number from its header, given its size: 4 bytes for a Java int, 8 for a long."""

    @cached_property
    def names(self) -> frozenset[str]:
        """All headers by which the system is recognised."""
        read = (self.timestamp, self.exception, self.reason, self.detail)
        more = (self.stage, self.group, self.attempt, self.others, self.coordinates or ())
        return frozenset(name for names in (*read, *more) for name in names)

    @cached_property
    def writer(self) -> Writer:
        """Name of the system, and the headers that it adds."""
        return Writer(self.name, self.prefixes, self.names)

    def translate(self, named: Named, timestamp: int | None) -> dict[str, bytes]:
        """Translate the headers to our names; `timestamp` is that of the dead letter itself."""
        code = self._reason(named) or UNKNOWN
        detail = one_line(_text(named, self.detail)[:_LONGEST_DETAIL])
        if not self.keeps_timestamp:
            time = self._number(named, self.timestamp, _LONG)
        else:
            time = "" if timestamp is None else str(timestamp)
        texts: dict[str, str] = {
            DlqHeader.REASON: code,
            DlqHeader.STAGE: _name(_text(named, self.stage)),
            DlqHeader.GROUP: _name(_text(named, self.group)),
            DlqHeader.SOURCE: self._source(named),
            DlqHeader.SOURCE_TIMESTAMP: time,
            DlqHeader.ATTEMPT: self._number(named, self.attempt, _INT),
        }
        encoded = {name: text.encode() for name, text in texts.items() if text}
        problem = {"code": code, "pointer": "", "detail": detail}
        encoded[DlqHeader.REASONS] = msgspec.json.encode([problem])
        return encoded

    def _reason(self, named: Named) -> str:
        exception = _text(named, self.exception)
        return _name(_simple_name(exception) if exception else _text(named, self.reason))

    def _source(self, named: Named) -> str:
        """`topic/partition/offset`; empty unless all three can be read."""
        if self.coordinates is None:
            return ""
        topic_name, partition_name, offset_name = self.coordinates
        topic = _text(named, (topic_name,))
        partition = self._number(named, (partition_name,), _INT)
        offset = self._number(named, (offset_name,), _LONG)
        return f"{topic}/{partition}/{offset}" if _TOPIC.fullmatch(topic) else ""

    def _number(self, named: Named, names: tuple[str, ...], size: int) -> str:
        """First header that is a number, as decimal digits; empty when there is none."""
        for name in names:
            value = named.get(name)
            number = self.number(value, size) if value else None
            if number is not None:
                return str(number)
        return ""


def _text(named: Named, names: tuple[str, ...]) -> str:
    """First header that is text; empty when there is none."""
    for name in names:
        value = named.get(name)
        if value:
            try:
                return value.decode()
            except UnicodeDecodeError:
                continue
    return ""


def _simple_name(text: str) -> str:
    """Shorten `a.b.Outer$Inner`, also when `: message` follows, to `Inner`."""
    written = text.partition(":")[0].strip()
    parts = written.rpartition(".")[2].split("$")
    names = [part for part in parts if part.isidentifier()]
    return names[-1] if names else written


def _name(text: str) -> str:
    return one_line(text[:_LONGEST_NAME])
