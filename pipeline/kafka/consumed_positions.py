"""How far each partition that a member of the group holds was read, and what is to be committed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from confluent_kafka import Message

from pipeline.errors import OutcomeUnknownError
from pipeline.kafka import error_codes
from pipeline.kafka.start_offsets import StartOffsets
from pipeline.ports import Batch


class ConsumedPositions:
    """Positions by partition; what is known of one is forgotten when it is taken away."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self.next: dict[int, int] = {}
        """Behind what was collected: where the next record is expected, or later."""
        self.committed: dict[int, int] = {}
        """Behind what was committed, of the same partitions."""
        self.ends: dict[int, int] = {}
        """Where the client has come to the end of a partition, since the last batch."""
        self.resume_at: dict[int, int] = {}
        """Where to go on, of partitions whose next offset was deleted."""
        self.pending_seeks: dict[int, int] = {}
        """Of which record a seek is not answered yet."""
        self._uncommitted: dict[int, int] = {}
        """To be committed with the next batch, whatever it holds."""

    def assign(self, start: StartOffsets) -> None:
        """These partitions were assigned."""
        for place in start.places:
            self.next[place.partition] = self.committed[place.partition] = place.offset
        for place in start.uncommitted:
            self._uncommitted[place.partition] = place.offset

    def revoke(self, numbers: Iterable[int]) -> None:
        """These partitions were revoked."""
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
        """Without the ends that were told before the first record behind a seek.

        That record must be the one that was sought, else OutcomeUnknownError.
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
        """The position that the client could not go on from.

        It tells its own, which may be behind markers and aborted records that it has passed; one
        that is behind the end, `high`, is not believed.
        """
        pending_seeks = self.pending_seeks.pop(number, None)
        if pending_seeks is not None:
            return pending_seeks
        known = self.next.get(number, -1)
        return max(fetched_from, known) if fetched_from <= high else known

    def advance(self, last: Mapping[int, int]) -> dict[tuple[str, int], int]:
        """What a batch commits; `last` is the offset of its last record in each partition.

        An end that was reached is behind markers and aborted records, which are never delivered:
        everything before it was collected, since the client tells it in the order of the records.
        """
        positions, self._uncommitted = self._uncommitted, {}
        for number, offset in last.items():
            positions[number] = self.next[number] = offset + 1
        for number, end in self.ends.items():
            if end > self.next.get(number, end):
                positions[number] = self.next[number] = end
        self.ends = {}
        # Committed, too, so that a loss that was accepted once is not found again.
        positions |= self.resume_at
        return {(self._topic, number): at for number, at in positions.items()}

    def rewind(self, batch: Batch, firsts: Mapping[int, int]) -> dict[int, int]:
        """Go back to the first records of a batch; those of partitions that are still held.

        Positions of partitions without records were to be committed as they are.
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
