"""What a replay writes beside each committed offset: whose it is, and what it has done so far.

JSON, some hundred bytes; Kafka refuses metadata above 4 KiB. Every transaction of a slot covers at
least one partition, so the note with the highest `number` among a slot's partitions is its last.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class Totals(msgspec.Struct):
    """What became of the records of a slot, since the beginning of its replay."""

    records: int = 0
    """That are meant."""
    left_out: int = 0
    """Read, but outside of the window's times or the filters."""
    enriched: int = 0
    identify: int = 0
    dead_letters: dict[str, int] = {}
    """By reason code."""
    dropped: dict[str, int] = {}
    """By reason code."""

    @property
    def refused(self) -> int:
        """Dead letters, all reasons together."""
        return sum(self.dead_letters.values())

    @property
    def events(self) -> int:
        """Outcomes of all kinds."""
        return self.enriched + self.refused + sum(self.dropped.values())

    def plus(self, other: Totals) -> Totals:
        """Both together, as a new one."""
        return Totals(
            self.records + other.records,
            self.left_out + other.left_out,
            self.enriched + other.enriched,
            self.identify + other.identify,
            _sum(self.dead_letters, other.dead_letters),
            _sum(self.dropped, other.dropped),
        )


class ReplayNote(msgspec.Struct, frozen=True):
    """One partition's note."""

    owner: str
    """Random: tells the process that works on the replay from all others."""
    who: str
    """`user@host`."""
    since: int
    """When that process took the replay over, epoch milliseconds."""
    deed: str
    """What it took it over for, such as `resumed`; for people."""
    number: int
    """Of the transaction, counted from the beginning of the replay."""
    totals: Totals
    """Of the slot, as of this transaction."""

    def encode(self) -> str:
        """As offset metadata."""
        return msgspec.json.encode(self).decode()


def read_replay_note(metadata: str | None) -> ReplayNote | None:
    """The note in an offset's metadata; None for anything else."""
    try:
        return msgspec.json.decode(metadata or "", type=ReplayNote)
    except (msgspec.MsgspecError, ValueError):
        return None


def newest(notes: Iterable[ReplayNote | None]) -> ReplayNote | None:
    """The note of the last transaction; None without any."""
    known = [note for note in notes if note is not None]
    return max(known, key=lambda note: note.number) if known else None


def _sum(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in sorted({*one, *other})}
