"""What was done with dead letters: the records of the ledger topic, and what they say together.

A dead-letter topic only grows, so what was sent again or put aside is noted in a compacted topic
beside it, in the same transaction as the deed. Key: the dead-letter topic's id and the letter's
coordinates, since a topic created anew repeats coordinates.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Final

import msgspec

from pipeline.core.record import Record
from pipeline.core.timestamps import MAX_MS
from pipeline.errors import RefusedError

MOST_SENT: Final = 5_000_000
"""Sent events that a ledger tells apart: their fingerprints are some 360 MB of memory."""
_CHUNK_BITS: Final = 12
_PER_BYTE: Final = 4
_HOLDER: Final = b"holder/"
_Time = Annotated[int, msgspec.Meta(ge=0, le=MAX_MS)]


class Action(StrEnum):
    """What was done with a letter."""

    REDRIVEN = "redriven"
    """Sent to the enriched or the raw topic."""
    REINSERTED = "reinserted"
    """It failed again, and a new letter with one attempt more was written in its place."""
    DISCARDED = "discarded"
    """Dealt with otherwise, or not worth it."""
    RESTORED = "restored"
    """It had been discarded, and is pending again, as if nothing had been done with it."""


_ACTIONS: Final = {1: Action.REDRIVEN, 2: Action.REINSERTED, 3: Action.DISCARDED}
"""By the two bits of a letter; 0 is nothing."""
_CODES: Final = {action.value: number for number, action in _ACTIONS.items()}


class Entry(msgspec.Struct, frozen=True):
    """One record of the ledger."""

    topic_id: str
    """Kafka's id of the dead-letter topic."""
    partition: int
    offset: int
    """Of the letter."""
    action: str
    """A value of `Action`."""
    source: str
    """The letter's `dlq.source`; empty when it has none."""
    source_timestamp: int | None
    """Epoch milliseconds; tells a raw topic from another one of the same name."""
    who: str
    """`user@host`."""
    at: _Time
    """Epoch milliseconds."""
    id: str
    """Of the redrive, discard or restore; one for all letters of one command."""
    target: str = ""
    """Topic that it was sent to; empty of a discard."""
    repair: str = ""
    """What was applied to it before, with the hash of a file; empty for none."""
    because: str = ""
    """Of a discard or restore: why."""

    def key(self) -> bytes:
        """Of the ledger's record.

        That something was restored is another one: it stands behind what it undoes, which
        compaction must not remove from the history.
        """
        restored = "/restored" if self.action == Action.RESTORED else ""
        return f"{self.topic_id}/{self.partition}/{self.offset}{restored}".encode()

    def value(self) -> bytes:
        """Of the ledger's record, JSON."""
        return msgspec.json.encode(self)


class Holder(msgspec.Struct, frozen=True):
    """Who writes to the ledger under a transactional id: the newest one."""

    transactional_id: str
    who: str
    """`user@host`."""
    at: _Time
    """Epoch milliseconds."""
    run: str
    """Random; tells one process from another of the same person."""

    def value(self) -> bytes:
        """Of the ledger's record."""
        return msgspec.json.encode(self)


def holder_key(transactional_id: str) -> bytes:
    """Of the ledger's record; without a value it says that nobody writes under this id."""
    return _HOLDER + transactional_id.encode()


def read_holder(record: Record) -> Holder | str | None:
    """Who has opened a desk; the transactional id under which nobody does; None: neither."""
    key = record.key or b""
    if not key.startswith(_HOLDER):
        return None
    if record.value is None:
        return key.removeprefix(_HOLDER).decode(errors="replace")
    try:
        return msgspec.json.decode(record.value, type=Holder)
    except (msgspec.MsgspecError, ValueError):
        return None


def read_entry(record: Record) -> Entry | None:
    """An entry; None for any other record."""
    try:
        return msgspec.json.decode(record.value or b"", type=Entry)
    except (msgspec.MsgspecError, ValueError):
        return None


class Ledger:
    """What was done with the letters of one dead-letter topic.

    Two bits of memory for each letter (1 KiB for every 4,096 offsets with an entry), and some 75
    bytes for each event that was sent, of which there may be `most_sent`.
    """

    def __init__(self, topic_id: str, most_sent: int = MOST_SENT) -> None:
        self._topic_id = topic_id
        self._actions: dict[tuple[int, int], bytearray] = {}
        self._sent: set[bytes] = set()
        self._most_sent = most_sent
        self._is_full = False

    def add(self, entry: Entry) -> None:
        """Count an entry in; of an older topic of this name only its source counts."""
        if entry.action == Action.REDRIVEN:
            self._add_sent(fingerprint(entry.source, entry.source_timestamp, entry.target))
        code = _CODES.get(entry.action)
        if entry.action == Action.RESTORED and self._is_discarded(entry):
            code = 0
        if code is None or entry.topic_id != self._topic_id:
            return
        chunk, byte, shift = _where(entry.partition, entry.offset)
        bits = self._actions.setdefault(chunk, bytearray((1 << _CHUNK_BITS) // _PER_BYTE))
        bits[byte] = bits[byte] & ~(3 << shift) | code << shift

    def _add_sent(self, event: bytes) -> None:
        if len(self._sent) < self._most_sent:
            self._sent.add(event)
        elif event not in self._sent:
            self._is_full = True

    @property
    def is_empty(self) -> bool:
        """Whether nothing was done with any letter."""
        return not self._actions

    def action(self, partition: int, offset: int) -> Action | None:
        """What was done with a letter; None: nothing."""
        # First the cheap question: of most letters' neighbours nothing is known at all.
        bits = self._actions.get((partition, offset >> _CHUNK_BITS))
        if bits is None:
            return None
        _, byte, shift = _where(partition, offset)
        return _ACTIONS.get(bits[byte] >> shift & 3)

    def _is_discarded(self, entry: Entry) -> bool:
        return self.action(entry.partition, entry.offset) is Action.DISCARDED

    def holds(self, entry: Entry) -> bool:
        """Whether there is nothing left to do for what an entry says: it is so already."""
        if entry.action == Action.RESTORED:
            return not self._is_discarded(entry)
        if self.action(entry.partition, entry.offset) is not None:
            return True
        return entry.action == Action.REDRIVEN and self.was_sent(
            entry.source, entry.source_timestamp, entry.target
        )

    def was_sent(self, source: str, source_timestamp: int | None, target: str) -> bool:
        """Whether an event was sent there before, by this letter or by another one of it.

        RefusedError when more were sent than are held in memory, so that nobody knows.
        """
        if not source:
            return False
        if fingerprint(source, source_timestamp, target) in self._sent:
            return True
        if self._is_full:
            raise RefusedError(
                f"the ledger lists more than {self._most_sent:,} events that were sent, which is "
                "the most that the desk can tell apart: send again when its topic's retention has "
                "deleted older entries"
            )
        return False


def discarded_by(id_: str, topic_id: str, entries: Iterable[Entry]) -> Ledger:
    """The letters that one discard was the last to discard, of all entries of a ledger."""
    found = Ledger(topic_id)
    for entry in entries:
        if entry.action == Action.DISCARDED:
            is_meant = entry.id == id_
            found.add(entry if is_meant else msgspec.structs.replace(entry, action=Action.RESTORED))
        elif entry.action == Action.RESTORED:
            found.add(entry)
    return found


def _where(partition: int, offset: int) -> tuple[tuple[int, int], int, int]:
    """Chunk, byte in it, and shift in the byte, of a letter's two bits."""
    within = offset & (1 << _CHUNK_BITS) - 1
    return (
        (partition, offset >> _CHUNK_BITS),
        within // _PER_BYTE,
        2 * (within % _PER_BYTE),
    )


def fingerprint(source: str, source_timestamp: int | None, target: str) -> bytes:
    """12 bytes for an event that was sent somewhere; no two of them share these in practice."""
    text = f"{source}\n{source_timestamp}\n{target}"
    return hashlib.blake2b(text.encode(), digest_size=12).digest()
