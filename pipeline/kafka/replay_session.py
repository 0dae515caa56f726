"""A session of one replay slot: reads assigned partitions, writes in transactions.

A consumer that has joined no group can commit any offset: the broker does not fence it through the
group. Only the transactional id protects. So this process first checks in the offsets' metadata
whether it is still the owner, then takes the id, and checks again. An older process that wakes up
can't win the id back from the one that has taken over.

Guarantees
    Exactly once, as in `exactly_once`, for each record of the slot's ranges. Offsets, totals and
    owner are committed together with the outputs, so a resumed replay continues where the last
    transaction ended. While another process is the owner, nothing is written.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from pipeline.core.counts import OutcomeCounts
from pipeline.core.offset_metadata import OffsetMetadata
from pipeline.core.record import Output
from pipeline.core.replay_checkpoint import ReplayCheckpoint, latest_checkpoint
from pipeline.core.timestamps import format_time
from pipeline.errors import BreakerOpenError, DataLossError, FencedError, OutcomeUnknownError
from pipeline.kafka.clients import make_admin, make_consumer, plain_config
from pipeline.kafka.errors import LastClientError, in_transaction
from pipeline.kafka.exactly_once import ExactlyOnceProducer
from pipeline.kafka.range_consumer import RangeConsumer
from pipeline.kafka.replay_config import ReplaySource, SlotConfig
from pipeline.kafka.replay_progress import PartitionProgress, ReplayOffsets
from pipeline.kafka.topic_ids import TopicIds
from pipeline.ports import Batch, Lag, Positions

_BATCHES_A_SECOND: Final = 5
"""Number of transactions per second over which a limited rate is spread."""
_SIGNIFICANT: Final = 500
"""Number of events from which the share of rejected ones is meaningful, as in the worker's circuit
breaker."""
_WAIT_S: Final = 1.0
"""Longest wait for the rate; a stop request is noticed after it."""
_REASONS: Final = 5
"""Number of reasons that a message names, the most frequent ones."""


class ReplayBroker:
    """Opens sessions of one slot."""

    def __init__(self, config: SlotConfig, on_end: Callable[[], None]) -> None:
        """`on_end` is called when everything is committed."""
        self._config = config
        self._on_end = on_end
        session = config.session
        client = make_admin(plain_config(session.shared), LastClientError())
        self._topic_ids = TopicIds(client, session.raw_topic, session.startup_timeout_s)
        offsets = partial(
            ReplayOffsets,
            session.shared,
            session.group,
            session.raw_topic,
            session.startup_timeout_s,
        )
        self._now, self._stable = offsets(stable=False), offsets(stable=True)

    def open(self) -> ReplaySession:
        """Open a session. FencedError when another process has taken over."""
        self.owned(stable=False)
        producer = ExactlyOnceProducer(self._config.session, LastClientError())
        try:
            found = self.owned(stable=True)
            return ReplaySession(self._config, self, producer, found, self._topic_ids, self._on_end)
        except BaseException:
            producer.drop()
            raise

    def owned(self, *, stable: bool) -> Mapping[int, PartitionProgress]:
        """Return each partition's progress.

        FencedError unless this process still owns all of them.
        """
        config = self._config
        found = (self._stable if stable else self._now).read(config.ranges)
        for at in found.values():
            if at.note is not None and at.note.owner != config.owner.token:
                raise taken_over(config.session.group, at.note)
        if found.keys() != config.ranges.keys():
            raise DataLossError(
                f"group {config.session.group} has lost its offsets while it ran: "
                "were they deleted? Resume the replay"
            )
        return found


def taken_over(group: str, note: ReplayCheckpoint) -> FencedError:
    """Return the error for a process that is no longer the owner."""
    return FencedError(
        f"{group}: {note.who} has {note.action} this replay at {format_time(note.since)}; this "
        "older process stops. What it had committed stays"
    )


class ReplaySession:
    """See `ports.Session`."""

    def __init__(  # noqa: PLR0913, PLR0917  made in one place
        self,
        config: SlotConfig,
        broker: ReplayBroker,
        producer: ExactlyOnceProducer,
        found: Mapping[int, PartitionProgress],
        topic_ids: TopicIds,
        on_end: Callable[[], None],
    ) -> None:
        self._config = config
        self._topic = config.session.raw_topic
        self._broker = broker
        self._producer = producer
        self._topic_ids = topic_ids
        self._on_end = on_end
        self._committed = {number: at.offset for number, at in found.items()}
        last = latest_checkpoint(at.note for at in found.values())
        self._number = last.number if last else 0
        self._totals = last.totals if last else OutcomeCounts()
        last_error = LastClientError()
        self._consumer = _consumer(config, last_error)
        # A source other than a topic still commits for the consumer's group.
        self._source: ReplaySource = (
            RangeConsumer(self._consumer, config, last_error)
            if config.make_source is None
            else config.make_source()
        )
        self._source.start(self._committed)
        self._due = 0.0
        # Called for every output, so it is the producer's method itself.
        self.send: Callable[[Output], None] = producer.send

    def collect(self) -> Batch:
        """See `ports.Session`."""
        if self._topic_ids.changed_from(self._config.topic_id):
            raise DataLossError(
                f"topic {self._topic} was deleted and created again: the replay's offsets belong "
                "to the old one. Start a new replay"
            )
        self._producer.poll(0)
        self._producer.start_batch()
        room = self._room()
        try:
            records = self._source.collect(room) if self._is_due() else []
        except KafkaException as error:
            what = f"reading topic {self._topic}"
            raise in_transaction(error, what, group=self._config.session.group) from error
        positions = {
            (self._topic, number): at
            for number, at in self._source.reached.items()
            if at != self._committed[number]
        }
        if not positions and (not room or self._source.is_done):
            self._on_end()
        return Batch(records, positions)

    def _room(self) -> int:
        """Return how many records the next transaction may hold."""
        config, most = self._config, self._config.session.batch.max_records
        if config.rate is not None:
            most = max(1, min(most, int(config.rate / _BATCHES_A_SECOND)))
        return (
            most
            if config.max_records is None
            else min(most, config.max_records - self._totals.records)
        )

    def _is_due(self) -> bool:
        """Wait for the rate. False when that takes longer, so that a stop request is noticed."""
        left = self._due - time.monotonic()
        if left > 0:
            self._config.stop.wait(min(left, _WAIT_S))
        return left <= _WAIT_S

    def begin(self) -> None:
        """See `ports.Session`.

        A spent producer is replaced in the way a session is opened: only while this process is the
        owner, and only if nothing was committed in between.
        """
        if self._producer.renew:
            self._broker.owned(stable=False)
            self._producer.start_anew()
            found = self._broker.owned(stable=True)
            if {number: at.offset for number, at in found.items()} != self._committed:
                raise OutcomeUnknownError("the committed offsets are not the expected ones")
        self._producer.begin()

    def commit(self, positions: Positions, note: OffsetMetadata, counts: OutcomeCounts) -> None:
        """See `ports.Session`. The offsets' metadata is the replay's own checkpoint."""
        del note
        committed = self._committed | {number: at for (_, number), at in positions.items()}
        # Left-out records count once, also when the batch is committed in sub-batches.
        left_out = self._source.left_out if committed == self._source.reached else 0
        totals = self._totals + replace(counts, left_out=left_out)
        self._refuse_too_many(totals, at_end=self._ends_with(committed, totals))
        owner = self._config.owner
        metadata = ReplayCheckpoint(
            owner.token, owner.who, owner.since, owner.action, self._number + 1, totals
        ).encode()
        self._producer.commit(
            [TopicPartition(*place, at, metadata) for place, at in positions.items()],
            self._consumer,
            self._consumer.consumer_group_metadata(),
        )
        if self._config.rate is not None:
            events = totals.events - self._totals.events
            self._due = max(self._due, time.monotonic() - _WAIT_S) + events / self._config.rate
        self._committed, self._totals, self._number = committed, totals, self._number + 1
        self._source.left_out -= left_out

    def _ends_with(self, committed: Mapping[int, int], totals: OutcomeCounts) -> bool:
        """Return whether this batch is the last one."""
        most = self._config.max_records
        at_end = self._source.is_done or (most is not None and totals.records >= most)
        return at_end and committed == self._source.reached

    def _refuse_too_many(self, totals: OutcomeCounts, *, at_end: bool) -> None:
        """Stop above the tolerated share: it is meaningful after many events, or at the end."""
        refused, events = totals.rejected, totals.events
        most = self._config.max_invalid_ratio
        counts = events >= _SIGNIFICANT or (at_end and self._config.is_only)
        if counts and refused > events * most:
            reasons = totals.dead_letters.most_common(_REASONS)
            raise BreakerOpenError(
                f"{refused:,} of {events:,} events would be rejected ({refused / events:.1%}), "
                f"more than --max-invalid-ratio {most:g} tolerates: "
                f"{', '.join(f'{code} {number}' for code, number in reasons)}. The last batch was "
                "not written. Raise the ratio to continue, or correct the settings"
            )

    def abort(self) -> None:
        """See `ports.Session`."""
        self._producer.abort()

    def rewind(self, batch: Batch) -> None:
        """See `ports.Session`. Everything is read again from the committed offsets."""
        del batch
        try:
            self._source.start(self._committed)
        except KafkaException as error:
            raise OutcomeUnknownError(f"could not go back in {self._topic}") from error

    def pause(self, seconds: float) -> None:
        """See `ports.Session`."""
        self._config.stop.wait(seconds)

    def lag(self) -> Lag:
        """See `ports.Session`. Counts up to the ends of the ranges."""
        ends = self._config.ranges
        behind = sum(ends[number][1] - at for number, at in self._committed.items())
        return Lag(len(self._committed), behind)

    def assigned(self) -> Collection[int]:
        """See `ports.Session`. These are the partitions of its slot."""
        return self._config.ranges

    def close(self) -> None:
        """Release both clients; never raises."""
        with contextlib.suppress(KafkaException, RuntimeError):
            self._consumer.close()
        del self.send
        self._producer.drop()


def _consumer(config: SlotConfig, last_error: LastClientError) -> Consumer:
    return make_consumer(dict(config.session.consumer), last_error)
