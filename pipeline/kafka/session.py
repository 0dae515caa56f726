"""The worker's session on Kafka: a group consumer and a producer, opened and closed together.

Guarantees
    Opening one fences an older session with the same transactional id and waits for its transaction
    to end, so it starts from final offsets. A commit is valid only for the group generation that
    read its records: after a rebalance it fails. A process that was replaced by a newer one with
    the same name does not fence that one again. The delivery guarantee itself is the producer's
    (`exactly_once`, `at_least_once`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from confluent_kafka import KafkaException, TopicPartition

from pipeline.core.counts import OutcomeCounts
from pipeline.core.offset_metadata import OffsetMetadata
from pipeline.core.record import Output
from pipeline.errors import InstanceFencedError, LostTrackError, OutcomeUnknownError, TransportError
from pipeline.kafka.at_least_once import AtLeastOnceProducer
from pipeline.kafka.client_statistics import ReportedStatistics
from pipeline.kafka.clients import make_admin, make_consumer, plain_config
from pipeline.kafka.dependency_monitor import DependencyMonitor
from pipeline.kafka.end_offsets import EndOffsets
from pipeline.kafka.errors import LastClientError, in_transaction
from pipeline.kafka.exactly_once import ExactlyOnceProducer
from pipeline.kafka.group_consumer import GroupConsumer
from pipeline.kafka.membership import Membership
from pipeline.kafka.oldest_records import OldestRecords
from pipeline.kafka.producer import SessionProducer
from pipeline.kafka.session_config import SessionConfig
from pipeline.kafka.start_offsets import StartOffsetPolicy
from pipeline.kafka.topic_ids import TopicIds
from pipeline.ports import Batch, Lag, Positions


class KafkaBroker:
    """Opens sessions on a cluster."""

    def __init__(self, config: SessionConfig) -> None:
        self.monitor = DependencyMonitor(config)
        """Finds out what its sessions are waiting for."""
        self.statistics = ReportedStatistics()
        config = replace(config, statistics=self.statistics)
        self._config = config
        self.oldest_records = OldestRecords(config.shared, config.raw_topic)
        """Finds records that its sessions have not read."""
        client = make_admin(plain_config(config.shared), LastClientError())
        self._topic_ids = TopicIds(client, config.raw_topic, config.startup_timeout_s)
        self._ends = EndOffsets(client, config.raw_topic)
        self._membership = Membership(config)

    def open(self) -> KafkaSession:
        """Open a session, which fences an older one with the same transactional id.

        FencedError when this process had sessions before, and another has taken its name since.
        """
        self._membership.check()
        return KafkaSession(
            self._config, self._topic_ids, self._ends, self._membership, self.monitor
        )


class KafkaSession:
    """See `ports.Session`."""

    def __init__(
        self,
        config: SessionConfig,
        topic_ids: TopicIds,
        ends: EndOffsets,
        membership: Membership,
        monitor: DependencyMonitor,
    ) -> None:
        self._config = config
        self._ends = ends
        self._membership = membership
        self._monitor = monitor
        self._last_error = (
            LastClientError()
        )  # of the consumer alone: the writer's are told by its calls
        producer_error = LastClientError()
        monitor.opened(self._last_error, producer_error)
        # The producer first: it aborts our own open transaction, so that the committed offsets from
        # which the consumer starts are final.
        self._producer = _producer(config, producer_error)
        reports = config.statistics.properties("consumer") if config.statistics else {}
        self._consumer = make_consumer({**config.consumer, **reports}, self._last_error)
        self._group_consumer = GroupConsumer(
            self._consumer,
            config,
            StartOffsetPolicy(config, self._last_error),
            topic_ids,
            self._last_error,
            partitions=self._producer.raw_partitions,
        )
        self._generation: Any = None
        # Called for every output, so it is the producer's method itself.
        self.send: Callable[[Output], None] = self._producer.send

    def collect(self) -> Batch:
        """See `ports.Session`."""
        try:
            batch = self._group_consumer.collect()
            self._notice_that_it_is_left_out()
            if batch.positions:
                # Right after consume(): the generation that owns these records.
                self._generation = self._consumer.consumer_group_metadata()
                if not self._membership.note(self._consumer):
                    # The broker would accept a commit without a member even over a live group's.
                    raise OutcomeUnknownError("the consumer is not a member of its group")
        except InstanceFencedError as error:
            raise self._fenced(error) from error
        except KafkaException as error:
            what = f"reading topic {self._config.raw_topic}"
            raise in_transaction(error, what, group=self._config.group) from error
        self._producer.poll(0)
        self._producer.start_batch()
        self._monitor.turned(self._group_consumer.next, len(batch.records))
        return batch

    def _notice_that_it_is_left_out(self) -> None:
        """Replace a client that no longer finds its coordinator, as after a broker restart."""
        if self._monitor.is_left_out() and not self._membership.note(self._consumer):
            raise OutcomeUnknownError(
                f"the Kafka client does not join group {self._config.group}, though the brokers "
                "answer: it is replaced"
            )

    def _fenced(self, error: InstanceFencedError) -> TransportError:
        found = self._producer.fenced(error, self._consumer.consumer_group_metadata())
        if isinstance(found, LostTrackError):
            self._membership.confirm()
        return found

    def begin(self) -> None:
        """See `ports.Session`."""
        if self._producer.renew:
            self._membership.check()  # a new producer takes the transactional id anew
        self._producer.begin()

    def commit(self, positions: Positions, note: OffsetMetadata, counts: OutcomeCounts) -> None:
        """See `ports.Session`. The topic's id is added to the metadata."""
        del counts
        metadata = note._replace(topic_id=self._group_consumer.topic_id).encode()
        offsets = [
            TopicPartition(topic, number, offset, metadata)
            for (topic, number), offset in positions.items()
        ]
        try:
            self._producer.commit(offsets, self._consumer, self._generation)
        except InstanceFencedError as error:
            self._producer.abort()  # raises FencedError when the transactional id is not ours
            raise self._fenced(error) from error
        self._group_consumer.committed(positions)

    def abort(self) -> None:
        """See `ports.Session`."""
        self._producer.abort()

    def rewind(self, batch: Batch) -> None:
        """See `ports.Session`."""
        self._group_consumer.rewind(batch)

    def pause(self, seconds: float) -> None:
        """See `ports.Session`."""
        self._group_consumer.pause(seconds)
        self._monitor.turned(self._group_consumer.next, 0)

    def lag(self) -> Lag | None:
        """See `ports.Session`."""
        done = self._group_consumer.done()
        if done is None and self._monitor.is_spare():
            return Lag(0, 0)  # the new group protocol does not report an empty assignment
        ends = None if done is None else self._ends.read(done)
        if done is None or ends is None:
            return None
        return Lag.between(done, ends)

    def assigned(self) -> Collection[int]:
        """See `ports.Session`."""
        return self._group_consumer.next

    def close(self) -> None:
        """Leave the group; never raises."""
        self._monitor.closed()
        self._group_consumer.closing = True
        with contextlib.suppress(KafkaException, RuntimeError):
            self._membership.note(self._consumer)
            self._consumer.close()
        del self.send
        self._producer.drop()


def _producer(config: SessionConfig, last_error: LastClientError) -> SessionProducer:
    return (ExactlyOnceProducer if config.exactly_once else AtLeastOnceProducer)(config, last_error)
