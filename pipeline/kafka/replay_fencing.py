"""Taking over a replay: whoever does it is the only process that can write from then on.

Rules of this file
    What lives here: taking the transactional ids of all slots, reading the offsets that are final
    after that, and recording the new owner.
    What is forbidden: why the replay is taken over, what its plan says, and what is written next.
    Those belong to `replay.takeover`.

The idea
    Kafka has no lock, but a transactional id has one owner. First every slot's id is taken, which
    aborts the open transactions of older processes. From then on no older process can commit, so
    the committed offsets are final. Then this process is recorded as the owner in the metadata of
    all of those offsets, in the same transactions. An older process that wakes up finds another
    owner there before it takes an id back (`replay_session`).

Guarantees
    Of two processes that take a replay over at the same time, one fails with FencedError. The
    committed offsets and totals are never changed by a takeover.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from confluent_kafka import TopicPartition

from pipeline.core.counts import OutcomeCounts
from pipeline.core.replay_checkpoint import ReplayCheckpoint, latest_checkpoint
from pipeline.errors import FencedError
from pipeline.kafka.clients import make_consumer
from pipeline.kafka.errors import LastClientError
from pipeline.kafka.exactly_once import ExactlyOnceProducer
from pipeline.kafka.replay_config import Owner
from pipeline.kafka.replay_progress import PartitionProgress, ReplayOffsets
from pipeline.kafka.session_config import SessionConfig


class ReplayFence:
    """Keeps all other processes from writing for the replay until it is closed."""

    def __init__(self, slots: Sequence[tuple[SessionConfig, Sequence[int]]]) -> None:
        """Take the transactional ids; `slots` holds each slot's configuration and partitions.

        Raises RefusedError and OutcomeUnknownError, as opening a session does.
        """
        self._slots = slots
        self._config = slots[0][0]
        self._producers: list[ExactlyOnceProducer] = []
        try:
            for config, _ in slots:
                # The output topics need not exist yet.
                self._producers.append(
                    ExactlyOnceProducer(replace(config, topics={}), LastClientError())
                )
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release the clients."""
        while self._producers:
            self._producers.pop().drop()

    def progress(self) -> Mapping[int, PartitionProgress]:
        """Return the final progress of each partition that has an offset."""
        config = self._config
        offsets = ReplayOffsets(
            config.shared, config.group, config.raw_topic, config.startup_timeout_s, stable=True
        )
        return offsets.read([number for _, numbers in self._slots for number in numbers])

    def record_owner(
        self,
        offsets: Mapping[int, int],
        owner: Owner,
        totals: Mapping[int, ReplayCheckpoint | None],
    ) -> None:
        """Record the owner in these offsets' metadata; `totals` has each slot's last checkpoint.

        FencedError when another process does the same at this moment.
        """
        config = self._config
        consumer = make_consumer(dict(config.consumer), LastClientError())
        try:
            for slot, (_, numbers) in enumerate(self._slots):
                last = totals.get(slot)
                note = ReplayCheckpoint(
                    owner.token,
                    owner.who,
                    owner.since,
                    owner.action,
                    last.number + 1 if last else 1,
                    last.totals if last else OutcomeCounts(),
                ).encode()
                places = [
                    TopicPartition(config.raw_topic, number, offsets[number], note)
                    for number in numbers
                ]
                if not places:
                    continue
                producer = self._producers[slot]
                producer.begin()
                producer.commit(places, consumer, consumer.consumer_group_metadata())
        except FencedError as error:
            raise FencedError(
                f"{config.group}: another process is taking over this replay at the same time, so "
                "this one stops"
            ) from error
        finally:
            consumer.close()


def last_checkpoints(
    progress: Mapping[int, PartitionProgress], slots: int
) -> dict[int, ReplayCheckpoint | None]:
    """Return each slot's last checkpoint."""
    return {
        slot: latest_checkpoint(
            at.note for number, at in progress.items() if number % slots == slot
        )
        for slot in range(slots)
    }
