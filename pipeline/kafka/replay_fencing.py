"""Taking a replay over: whoever does it is the only one who can write from then on.

First every slot's transactional id is taken, which ends what older processes have open. Then the
committed offsets are final, and this process writes itself down as the owner beside all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from confluent_kafka import TopicPartition

from pipeline.core.replay_checkpoint import ReplayNote, Totals, newest
from pipeline.errors import FencedError
from pipeline.kafka.clients import make_consumer
from pipeline.kafka.errors import LastClientError
from pipeline.kafka.exactly_once import ExactlyOnceProducer
from pipeline.kafka.replay_config import Owner
from pipeline.kafka.replay_progress import PartitionProgress, ReplayOffsets
from pipeline.kafka.session_config import SessionConfig


class ReplayFence:
    """Until it is closed no other process can write for the replay."""

    def __init__(self, slots: Sequence[tuple[SessionConfig, Sequence[int]]]) -> None:
        """`slots` has each slot's configuration and partitions.

        Raises RefusedError and OutcomeUnknownError as opening a session does.
        """
        self._slots = slots
        self._config = slots[0][0]
        self._producers: list[ExactlyOnceProducer] = []
        try:
            for config, _ in slots:
                # The outputs need not exist to take the id.
                self._producers.append(
                    ExactlyOnceProducer(replace(config, topics={}), LastClientError())
                )
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let the clients go."""
        while self._producers:
            self._producers.pop().drop()

    def progress(self) -> Mapping[int, PartitionProgress]:
        """Where each partition is, of those that have an offset; final."""
        config = self._config
        offsets = ReplayOffsets(
            config.shared, config.group, config.raw_topic, config.startup_timeout_s, stable=True
        )
        return offsets.read([number for _, numbers in self._slots for number in numbers])

    def take(
        self, offsets: Mapping[int, int], owner: Owner, totals: Mapping[int, ReplayNote | None]
    ) -> None:
        """Write the owner down beside these offsets; `totals` has each slot's last note.

        FencedError when another process does the same at this moment.
        """
        config = self._config
        consumer = make_consumer(dict(config.consumer), LastClientError())
        try:
            for slot, (_, numbers) in enumerate(self._slots):
                last = totals.get(slot)
                note = ReplayNote(
                    owner.token,
                    owner.who,
                    owner.since,
                    owner.deed,
                    last.number + 1 if last else 1,
                    last.totals if last else Totals(),
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
                f"{config.group}: another process takes this replay over at the same time; this "
                "one stops"
            ) from error
        finally:
            consumer.close()


def last_checkpoints(
    progress: Mapping[int, PartitionProgress], slots: int
) -> dict[int, ReplayNote | None]:
    """Each slot's last note."""
    return {
        slot: newest(at.note for number, at in progress.items() if number % slots == slot)
        for slot in range(slots)
    }
