"""How the headers of one system are read.

What they hold is not trusted: whatever is no text, or no number, is as if it were absent. Whether
a number makes sense, `DeadLetter` asks of every letter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import msgspec

from pipeline.core.dead_letter import one_line
from pipeline.core.headers import DlqHeader
from pipeline.dlq.dead_letter import UNKNOWN, read_number

Named = Mapping[str, bytes | None]
"""Header values by name."""
_LONGEST_NAME: Final = 200
_LONGEST_DETAIL: Final = 1000
"""Characters that are kept of a message; some put a whole stack trace into it."""
_INT: Final = 4
_LONG: Final = 8
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")


def decimal(value: bytes, _size: int) -> int | None:
    """A number in decimal digits; None for anything else."""
    return read_number(value.decode("ascii", errors="replace"))


def big_endian(value: bytes, size: int) -> int | None:
    """A Java int or long of exactly `size` bytes; None for any other length."""
    return int.from_bytes(value, "big", signed=True) if len(value) == size else None


@dataclass(frozen=True, eq=False)
class Dialect:
    """The headers of one system; where several are named, the first that can be read counts."""

    name: str
    coordinates: tuple[str, str, str] | None = None
    """Topic, partition and offset of the original record."""
    timestamp: tuple[str, ...] = ()
    """Kafka timestamp of the original record, epoch milliseconds."""
    keeps_timestamp: bool = False
    """Whether the letter itself has the original record's Kafka timestamp."""
    exception: tuple[str, ...] = ()
    """An exception's class: its simple name is the reason."""
    reason: tuple[str, ...] = ()
    """Any other text that is the reason."""
    detail: tuple[str, ...] = ()
    stage: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    attempt: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    """What it adds besides, and nobody here reads."""
    prefixes: tuple[str, ...] = ()
    """What all names that it adds begin with; none when that could be anybody's."""
    needed: frozenset[str] = frozenset()
    """Without these the headers are somebody else's."""
    number: Callable[[bytes, int], int | None] = decimal
    """Reads a number; a Java int has 4 bytes, a long 8."""

    @cached_property
    def names(self) -> frozenset[str]:
        """Every header that it is known by."""
        read = (self.timestamp, self.exception, self.reason, self.detail)
        more = (self.stage, self.group, self.attempt, self.others, self.coordinates or ())
        return frozenset(name for names in (*read, *more) for name in names)

    def said(self, named: Named, timestamp: int | None) -> dict[str, bytes]:
        """What the headers say, under our names; `timestamp` is the letter's own, epoch ms."""
        code = self._reason(named) or UNKNOWN
        detail = one_line(_text(named, self.detail)[:_LONGEST_DETAIL])
        if not self.keeps_timestamp:
            time = self._number(named, self.timestamp, _LONG)
        else:
            time = "" if timestamp is None else str(timestamp)
        said: dict[str, str] = {
            DlqHeader.REASON: code,
            DlqHeader.STAGE: _name(_text(named, self.stage)),
            DlqHeader.GROUP: _name(_text(named, self.group)),
            DlqHeader.SOURCE: self._source(named),
            DlqHeader.SOURCE_TIMESTAMP: time,
            DlqHeader.ATTEMPT: self._number(named, self.attempt, _INT),
        }
        encoded = {name: text.encode() for name, text in said.items() if text}
        problem = {"code": code, "pointer": "", "detail": detail}
        encoded[DlqHeader.REASONS] = msgspec.json.encode([problem])
        return encoded

    def _reason(self, named: Named) -> str:
        exception = _text(named, self.exception)
        return _name(_simple_name(exception) if exception else _text(named, self.reason))

    def _source(self, named: Named) -> str:
        """`topic/partition/offset`; no coordinates when any of them can't be read."""
        if self.coordinates is None:
            return ""
        topic_name, partition_name, offset_name = self.coordinates
        topic = _text(named, (topic_name,))
        partition = self._number(named, (partition_name,), _INT)
        offset = self._number(named, (offset_name,), _LONG)
        return f"{topic}/{partition}/{offset}" if _TOPIC.fullmatch(topic) else ""

    def _number(self, named: Named, names: tuple[str, ...], size: int) -> str:
        """The first number in decimal digits, of any sign; empty when there is none."""
        for name in names:
            value = named.get(name)
            number = self.number(value, size) if value else None
            if number is not None:
                return str(number)
        return ""


def _text(named: Named, names: tuple[str, ...]) -> str:
    """The first that is text; empty when none is."""
    for name in names:
        value = named.get(name)
        if value:
            try:
                return value.decode()
            except UnicodeDecodeError:
                continue
    return ""


def _simple_name(text: str) -> str:
    """`a.b.Outer$Inner`, also with `: message` behind it, as `Inner`."""
    written = text.partition(":")[0].strip()
    parts = written.rpartition(".")[2].split("$")
    names = [part for part in parts if part.isidentifier()]
    return names[-1] if names else written


def _name(text: str) -> str:
    return one_line(text[:_LONGEST_NAME])
