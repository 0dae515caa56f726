"""The ledger: which dead letters were redriven, reinserted, discarded or restored.

A dead-letter topic only grows, so what was done is written to a compacted topic beside it, in the
same transaction as the outputs. The key is the id of the dead-letter topic and the coordinates of
the dead letter, since a topic that is deleted and created again repeats coordinates.
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
"""Maximum number of sent events that are told apart; their fingerprints take some 360 MB."""
_CHUNK_BITS: Final = 12
_PER_BYTE: Final = 4
_HOLDER: Final = b"holder/"
_Time = Annotated[int, msgspec.Meta(ge=0, le=MAX_MS)]


class Action(StrEnum):
    """What was done with a dead letter."""

    REDRIVEN = "redriven"
    """The event was sent to the enriched topic, the raw topic or its source topic."""
    REINSERTED = "reinserted"
    """The event failed again, and a new dead letter with one more attempt was written instead."""
    DISCARDED = "discarded"
    """The dead letter was resolved in another way, or is not worth redriving."""
    RESTORED = "restored"
    """A discard was undone: the dead letter is pending again."""


_ACTIONS: Final = {1: Action.REDRIVEN, 2: Action.REINSERTED, 3: Action.DISCARDED}
"""Actions by the two bits of a dead letter; 0 stands for none."""
_CODES: Final = {action.value: number for number, action in _ACTIONS.items()}


class Entry(msgspec.Struct, frozen=True):
    """One record of the ledger."""

    topic_id: str
    """Kafka's id of the dead-letter topic."""
    partition: int
    """Partition of the dead letter."""
    offset: int
    """Offset of the dead letter."""
    action: str
    """Value of `Action`."""
    source: str
    """Header `dlq.source` of the dead letter; empty when it has none."""
    source_timestamp: int | None
    """Epoch milliseconds; tells a raw topic from a later topic of the same name."""
    who: str
    """Operator, as `user@host`."""
    at: _Time
    """Time of the run in epoch milliseconds."""
    id: str
    """Id of the redrive, discard or restore; all dead letters of one run share it."""
    target: str = ""
    """Topic that the event was sent to; empty for a discard."""
    repair: str = ""
    """Repair that was applied before, with the hash of its file; empty for none."""
    because: str = ""
    """Reason that the operator gave for a discard or restore."""

    def key(self) -> bytes:
        """Key of the record in the ledger topic.

        A restore has a key of its own, so that compaction keeps the discard that it undoes in the
        history.
        """
        restored = "/restored" if self.action == Action.RESTORED else ""
        return f"{self.topic_id}/{self.partition}/{self.offset}{restored}".encode()

    def value(self) -> bytes:
        """Value of the record in the ledger topic, JSON."""
        return msgspec.json.encode(self)


class Holder(msgspec.Struct, frozen=True):
    """Whoever was the last to open a session under a transactional id."""

    transactional_id: str
    who: str
    """Operator, as `user@host`."""
    at: _Time
    """Time of opening in epoch milliseconds."""
    run: str
    """Random text that tells one process from another of the same operator."""

    def value(self) -> bytes:
        """Value of the record in the ledger topic."""
        return msgspec.json.encode(self)


def holder_key(transactional_id: str) -> bytes:
    """Key of the record in the ledger topic; without a value it says that no session is open."""
    return _HOLDER + transactional_id.encode()


def read_holder(record: Record) -> Holder | str | None:
    """Holder of a session, or the transactional id of a closed one; None for other records."""
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
    """Read an entry; None for any other record."""
    try:
        return msgspec.json.decode(record.value or b"", type=Entry)
    except (msgspec.MsgspecError, ValueError):
        return None


class Ledger:
    """What was done with the dead letters of one topic.

    It takes two bits of memory for each dead letter (1 KiB for every 4,096 offsets with an entry),
    and some 75 bytes for each event that was sent, of which there may be `most_sent`.
    """

    def __init__(self, topic_id: str, most_sent: int = MOST_SENT) -> None:
        self._topic_id = topic_id
        self._actions: dict[tuple[int, int], bytearray] = {}
        self._sent: set[bytes] = set()
        self._most_sent = most_sent
        self._is_full = False

    def add(self, entry: Entry) -> None:
        """Add an entry; of one about an older topic of this name, only the sent event counts."""
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
        """Whether no dead letter was ever redriven, reinserted or discarded."""
        return not self._actions

    def action(self, partition: int, offset: int) -> Action | None:
        """What was done with a dead letter; None when it is pending."""
        # The cheap question first: most chunks of offsets have no entry at all.
        bits = self._actions.get((partition, offset >> _CHUNK_BITS))
        if bits is None:
            return None
        _, byte, shift = _where(partition, offset)
        return _ACTIONS.get(bits[byte] >> shift & 3)

    def _is_discarded(self, entry: Entry) -> bool:
        return self.action(entry.partition, entry.offset) is Action.DISCARDED

    def holds(self, entry: Entry) -> bool:
        """Whether an entry would change nothing, because it is so already."""
        if entry.action == Action.RESTORED:
            return not self._is_discarded(entry)
        if self.action(entry.partition, entry.offset) is not None:
            return True
        return entry.action == Action.REDRIVEN and self.was_sent(
            entry.source, entry.source_timestamp, entry.target
        )

    def was_sent(self, source: str, source_timestamp: int | None, target: str) -> bool:
        """Whether an event was sent to a topic before, for this dead letter or another one of it.

        Raises RefusedError when more events were sent than are held in memory.
        """
        if not source:
            return False
        if fingerprint(source, source_timestamp, target) in self._sent:
            return True
        if self._is_full:
            raise RefusedError(
                f"the ledger lists more than {self._most_sent:,} events that were sent, which is "
                "the most that can be told apart: redrive again when its topic's retention has "
                "deleted older entries"
            )
        return False


def discarded_by(id_: str, topic_id: str, entries: Iterable[Entry]) -> Ledger:
    """Ledger of the dead letters that one discard was the last to discard, out of all entries."""
    found = Ledger(topic_id)
    for entry in entries:
        if entry.action == Action.DISCARDED:
            is_this = entry.id == id_
            found.add(entry if is_this else msgspec.structs.replace(entry, action=Action.RESTORED))
        elif entry.action == Action.RESTORED:
            found.add(entry)
    return found


def _where(partition: int, offset: int) -> tuple[tuple[int, int], int, int]:
    """Location of the two bits of a dead letter: chunk, byte in the chunk, shift in the byte."""
    within = offset & (1 << _CHUNK_BITS) - 1
    return (
        (partition, offset >> _CHUNK_BITS),
        within // _PER_BYTE,
        2 * (within % _PER_BYTE),
    )


def fingerprint(source: str, source_timestamp: int | None, target: str) -> bytes:
    """12 bytes that identify an event that was sent to a topic; they do not collide in practice."""
    text = f"{source}\n{source_timestamp}\n{target}"
    return hashlib.blake2b(text.encode(), digest_size=12).digest()
