"""A session on a real Kafka: one group consumer and one producer that live and die together."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from typing import Any

from confluent_kafka import KafkaException, TopicPartition

from pipeline.core.counts import OutcomeCounts
from pipeline.core.offset_metadata import OffsetMetadata
from pipeline.core.record import Output
from pipeline.errors import InstanceFencedError, LostTrackError, OutcomeUnknownError, TransportError
from pipeline.kafka.at_least_once import AcknowledgedWriter
from pipeline.kafka.clients import make_admin, make_consumer, plain_config
from pipeline.kafka.dependency_monitor import GroupWatch
from pipeline.kafka.end_offsets import EndOffsets
from pipeline.kafka.errors import Causes, in_transaction
from pipeline.kafka.exactly_once import TransactionalWriter
from pipeline.kafka.group_consumer import Collector
from pipeline.kafka.membership import Membership
from pipeline.kafka.producer import Writer
from pipeline.kafka.session_config import SessionConfig
from pipeline.kafka.start_offsets import StartPositions
from pipeline.kafka.topic_ids import TopicIds
from pipeline.ports import Batch, Lag, Positions


class KafkaBroker:
    """Opens sessions on a cluster."""

    def __init__(self, config: SessionConfig) -> None:
        self._config = config
        self.watch = GroupWatch(config)
        """Sees what its sessions wait for."""
        client = make_admin(plain_config(config.shared), Causes())
        self._topic_ids = TopicIds(client, config.raw_topic, config.startup_timeout_s)
        self._ends = EndOffsets(client, config.raw_topic)
        self._membership = Membership(config)

    def open(self) -> KafkaSession:
        """A new session; fences an older one with the same transactional id.

        FencedError when this process had sessions before, and another has taken its name since.
        """
        self._membership.ask()
        return KafkaSession(self._config, self._topic_ids, self._ends, self._membership, self.watch)


class KafkaSession:
    """See `ports.Session`."""

    def __init__(
        self,
        config: SessionConfig,
        topic_ids: TopicIds,
        ends: EndOffsets,
        membership: Membership,
        watch: GroupWatch,
    ) -> None:
        self._config = config
        self._ends = ends
        self._membership = membership
        self._watch = watch
        self._causes = Causes()  # of the consumer alone: the writer's are told by its calls
        writer_causes = Causes()
        watch.opened(self._causes, writer_causes)
        # First the writer: it aborts our own dangling transaction, so that the committed
        # offsets that the consumer starts from are final.
        self._writer = _writer(config, writer_causes)
        self._consumer = make_consumer(dict(config.consumer), self._causes)
        self._collector = Collector(
            self._consumer,
            config,
            StartPositions(config),
            topic_ids,
            self._causes,
            partitions=self._writer.raw_partitions,
        )
        self._generation: Any = None
        # What is called for every output goes to the writer without a step between.
        self.send: Callable[[Output], None] = self._writer.send

    def collect(self) -> Batch:
        """See `ports.Session`."""
        try:
            batch = self._collector.collect()
            self._notice_that_it_is_left_out()
            if batch.positions:
                # Right after consume: the generation that owns these records.
                self._generation = self._consumer.consumer_group_metadata()
                if not self._membership.note(self._consumer):
                    # A commit without a member would be accepted over a live group's.
                    raise OutcomeUnknownError("the consumer is not a member of its group")
        except InstanceFencedError as error:
            raise self._fenced(error) from error
        except KafkaException as error:
            what = f"reading topic {self._config.raw_topic}"
            raise in_transaction(error, what, group=self._config.group) from error
        self._writer.poll(0)
        self._writer.start_batch()
        self._watch.turned(self._collector.next, len(batch.records))
        return batch

    def _notice_that_it_is_left_out(self) -> None:
        """A client that has met a restarted broker may never find its group's coordinator again."""
        if self._watch.is_left_out() and not self._membership.note(self._consumer):
            raise OutcomeUnknownError(
                f"the Kafka client does not join group {self._config.group}, though the brokers "
                "answer: it is replaced"
            )

    def _fenced(self, error: InstanceFencedError) -> TransportError:
        found = self._writer.fenced(error, self._consumer.consumer_group_metadata())
        if isinstance(found, LostTrackError):
            self._membership.confirm()
        return found

    def begin(self) -> None:
        """See `ports.Session`."""
        if self._writer.renew:
            self._membership.ask()  # a new producer takes the transactional id anew
        self._writer.begin()

    def commit(self, positions: Positions, note: OffsetMetadata, counts: OutcomeCounts) -> None:
        """See `ports.Session`; the topic's id is added to the note."""
        del counts
        metadata = note._replace(topic_id=self._collector.topic_id).encode()
        offsets = [
            TopicPartition(topic, number, offset, metadata)
            for (topic, number), offset in positions.items()
        ]
        try:
            self._writer.commit(offsets, self._consumer, self._generation)
        except InstanceFencedError as error:
            self._writer.abort()  # raises FencedError when the transactional id is not ours
            raise self._fenced(error) from error
        self._collector.committed(positions)

    def abort(self) -> None:
        """See `ports.Session`."""
        self._writer.abort()

    def rewind(self, batch: Batch) -> None:
        """See `ports.Session`."""
        self._collector.rewind(batch)

    def hold(self, seconds: float) -> None:
        """See `ports.Session`."""
        self._collector.hold(seconds)
        self._watch.turned(self._collector.next, 0)

    def lag(self) -> Lag | None:
        """See `ports.Session`."""
        done = self._collector.done()
        if done is None and self._watch.is_spare():
            return Lag(0, 0)  # with the new group protocol, being given nothing is not told
        ends = None if done is None else self._ends.of(done)
        if done is None or ends is None:
            return None
        return Lag(len(done), sum(max(0, ends[number] - at) for number, at in done.items()))

    def held(self) -> Collection[int]:
        """See `ports.Session`."""
        return self._collector.next

    def close(self) -> None:
        """Leave the group; never raises."""
        self._watch.closed()
        self._collector.closing = True
        with contextlib.suppress(KafkaException, RuntimeError):
            self._membership.note(self._consumer)
            self._consumer.close()
        del self.send
        self._writer.drop()


def _writer(config: SessionConfig, causes: Causes) -> Writer:
    return (TransactionalWriter if config.exactly_once else AcknowledgedWriter)(config, causes)
