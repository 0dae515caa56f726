"""What a replay writes beside each committed offset: whose it is, and what it has done so far.

JSON, some hundred bytes; Kafka refuses metadata above 4 KiB. Every transaction of a slot covers at
least one partition, so the note with the highest `number` among a slot's partitions is its last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from pipeline.core.counts import OutcomeCounts


class ReplayCheckpoint(msgspec.Struct, frozen=True):
    """One partition's note."""

    owner: str
    """Random: tells the process that works on the replay from all others."""
    who: str
    """`user@host`."""
    since: int
    """When that process took the replay over, epoch milliseconds."""
    action: str
    """What it took it over for, such as `resumed`; for people."""
    number: int
    """Of the transaction, counted from the beginning of the replay."""
    totals: OutcomeCounts
    """Of the slot, as of this transaction."""

    def encode(self) -> str:
        """As offset metadata."""
        return msgspec.json.encode(self).decode()


def read_checkpoint(metadata: str | None) -> ReplayCheckpoint | None:
    """The note in an offset's metadata; None for anything else."""
    try:
        return msgspec.json.decode(metadata or "", type=ReplayCheckpoint, dec_hook=_counter)
    except (msgspec.MsgspecError, ValueError):
        return None


def latest_checkpoint(notes: Iterable[ReplayCheckpoint | None]) -> ReplayCheckpoint | None:
    """The note of the last transaction; None without any."""
    known = [note for note in notes if note is not None]
    return max(known, key=lambda note: note.number) if known else None


def _counter(_type: type, value: Any) -> Counter[str]:  # noqa: ANN401  what msgspec has decoded
    """The counters in a note, which msgspec can write but not read by itself."""
    return Counter(msgspec.convert(value, dict[str, int]))
