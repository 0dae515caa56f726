"""How far each assigned partition was read, and which positions are to be committed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from confluent_kafka import Message

from pipeline.errors import OutcomeUnknownError
from pipeline.kafka import error_codes
from pipeline.kafka.start_offsets import StartOffsets
from pipeline.ports import Batch


class ConsumedPositions:
    """Positions by partition. Everything known about a partition is dropped when it is revoked."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self.next: dict[int, int] = {}
        """Positions behind what was collected: the next record has this offset or a later one."""
        self.committed: dict[int, int] = {}
        """Committed positions of the same partitions."""
        self.ends: dict[int, int] = {}
        """Positions at which the client reached the end of a partition, since the last batch."""
        self.resume_at: dict[int, int] = {}
        """Positions at which to continue partitions whose next offset was deleted."""
        self.pending_seeks: dict[int, int] = {}
        """Offsets that were sought and of which no record has arrived yet."""
        self._uncommitted: dict[int, int] = {}
        """Positions to commit with the next batch, whether or not it has records of them."""

    def assign(self, start: StartOffsets) -> None:
        """Note assigned partitions."""
        for place in start.places:
            self.next[place.partition] = self.committed[place.partition] = place.offset
        for place in start.uncommitted:
            self._uncommitted[place.partition] = place.offset

    def revoke(self, numbers: Iterable[int]) -> None:
        """Forget revoked partitions."""
        for number in numbers:
            for known in (
                self.next,
                self.committed,
                self.ends,
                self.resume_at,
                self.pending_seeks,
                self._uncommitted,
            ):
                known.pop(number, None)

    def after_seeks(self, messages: list[Message]) -> list[Message]:
        """Drop partition ends that were reported before the first record behind a seek.

        That record must be the one that was sought; otherwise OutcomeUnknownError is raised.
        """
        kept = []
        for message in messages:
            number, error = message.partition() or 0, message.error()
            if number in self.pending_seeks:
                if error is None and self.pending_seeks.pop(number) != message.offset():
                    raise OutcomeUnknownError(f"{self._topic}/{number}: a seek was lost")
                if error is not None and error.code() == error_codes.PARTITION_EOF:
                    continue
            kept.append(message)
        return kept

    def lost_position(self, number: int, fetched_from: int, high: int) -> int:
        """Return the position from which the client could not continue.

        The client reports its own, which may be behind markers and aborted records that it has
        passed. One behind the end of the partition, `high`, is not plausible and ignored.
        """
        pending_seeks = self.pending_seeks.pop(number, None)
        if pending_seeks is not None:
            return pending_seeks
        known = self.next.get(number, -1)
        return max(fetched_from, known) if fetched_from <= high else known

    def advance(self, last: Mapping[int, int]) -> dict[tuple[str, int], int]:
        """Return the positions that a batch commits; `last` maps partitions to their last offsets.

        A reached end lies behind markers and aborted records, which are never delivered. Everything
        before it was collected, since the client reports it in the order of the records.
        """
        positions, self._uncommitted = self._uncommitted, {}
        for number, offset in last.items():
            positions[number] = self.next[number] = offset + 1
        for number, end in self.ends.items():
            if end > self.next.get(number, end):
                positions[number] = self.next[number] = end
        self.ends = {}
        # Committed too, so that an accepted loss is not found again.
        positions |= self.resume_at
        return {(self._topic, number): at for number, at in positions.items()}

    def rewind(self, batch: Batch, firsts: Mapping[int, int]) -> dict[int, int]:
        """Go back to the first offsets of a batch, and return those of partitions still assigned.

        Positions of partitions without records are committed with the next batch.
        """
        back = {number: offset for number, offset in firsts.items() if number in self.next}
        self.next |= back
        self.pending_seeks |= back
        self._uncommitted = {
            number: offset
            for (_, number), offset in batch.positions.items()
            if number in self.next and number not in firsts
        }
        return back
