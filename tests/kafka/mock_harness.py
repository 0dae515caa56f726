"""The worker on a mock cluster: what it did about spoiled answers, and what it wrote."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from confluent_kafka import Producer

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.counts import OutcomeCounts
from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.offset_metadata import OffsetMetadata
from pipeline.core.process import Processor
from pipeline.core.record import Output, Record
from pipeline.kafka.dependency_monitor import DependencyMonitor
from pipeline.kafka.session import KafkaBroker, KafkaSession
from pipeline.ports import Batch, Positions, TopicFacts
from pipeline.settings.model import load_settings
from pipeline.topics import TopicNames
from pipeline.wiring import make_broker
from tests.brokers import read_topic
from tests.hostile import EVENT
from tests.kafka.mock_cluster import MockCluster
from tests.unit.worker.harness import Remembering, work

RECORDS: Final = 6
GROUP: Final = "g"
NAMES: Final = TopicNames("raw", "enriched", "dead-letters", "identify", "other")
_GIVE_UP_S: Final = 30.0
_LEFT_OUT_S: Final = 8.0
_FILLED_S: Final = 30.0
_QUICK: Final = {
    # The mock cluster's rebalances take session.timeout.ms less a second.
    "consumer.session.timeout.ms": "1500",
    "consumer.heartbeat.interval.ms": "200",
    "consumer.fetch.error.backoff.ms": "10",
    "consumer.fetch.wait.max.ms": "50",
    "kafka.retry.backoff.ms": "10",
    "kafka.retry.backoff.max.ms": "50",
    "kafka.reconnect.backoff.ms": "10",
    "kafka.reconnect.backoff.max.ms": "50",
    "kafka.topic.metadata.refresh.fast.interval.ms": "10",
    "batch.linger_ms": "2000",
    "startup_timeout_s": "10",
}
"""Clients that lose no time over an error."""


class RestingGroup(DependencyMonitor):
    """The mock cluster can't be asked for its groups: after a while they count as at rest."""

    def is_left_out(self) -> bool:
        """See `DependencyMonitor`."""
        since = self._without_since
        return since is not None and time.monotonic() - since >= _LEFT_OUT_S


class NotedSession(KafkaSession):
    """Keeps a diary of what the worker asked of it, and lets a test act before a call."""

    diary: list[str]
    before: dict[str, Callable[[], None]]

    def _note(self, call: str) -> None:
        self.diary.append(call)
        self.before.pop(call, lambda: None)()

    def collect(self) -> Batch:
        """See `ports.Session`."""
        self.before.pop("collect", lambda: None)()
        return super().collect()

    def begin(self) -> None:
        """See `ports.Session`."""
        self._note("begin")
        super().begin()

    def commit(self, positions: Positions, note: OffsetMetadata, counts: OutcomeCounts) -> None:
        """See `ports.Session`."""
        self._note("commit")
        super().commit(positions, note, counts)

    def abort(self) -> None:
        """See `ports.Session`."""
        self._note("abort")
        super().abort()


class NotedBroker(KafkaBroker):
    """Opens such sessions, which share one diary."""

    def __init__(self, broker: KafkaBroker) -> None:
        self.__dict__.update(broker.__dict__)
        self.diary: list[str] = []
        self.before: dict[str, Callable[[], None]] = {}
        self.monitor = RestingGroup(self._config)

    def open(self) -> KafkaSession:
        """See `ports.Broker`."""
        self.diary.append("open")
        self._membership.check()
        session = NotedSession(
            self._config, self._topic_ids, self._ends, self._membership, self.monitor
        )
        session.diary, session.before = self.diary, self.before
        return session


class Interrupted(Processor):
    """The contract; before its first record something happens, once."""

    def __init__(self, act: Callable[[], None]) -> None:
        super().__init__(ContractSettings(), Identity(app="track-pipeline/test", group="g"))
        self._act: Callable[[], None] | None = act

    def process(self, record: Record, now: int) -> tuple[Output, ...]:
        """As the contract."""
        if self._act is not None:
            act, self._act = self._act, None
            act()
        return super().process(record, now)


class MockHarness:
    """Raw records on a mock cluster and a worker's broker; batches hold so many records.

    The whole raw topic is one batch unless told otherwise. A new session starts at the first
    record, since the mock cluster keeps no offsets of transactions.
    """

    def __init__(self, cluster: MockCluster, *, batch: int = RECORDS, **settings: str) -> None:
        self.cluster = cluster
        for name in NAMES:
            cluster.create_topic(name)
        self._fill()
        flags = {f"topics.{role}": name for role, name in NAMES._asdict().items()}
        flags |= {
            **_QUICK,
            "kafka.bootstrap.servers": cluster.bootstrap_servers,
            "group": GROUP,
            "batch.max_records": str(batch),
            **{name.replace("__", "."): value for name, value in settings.items()},
        }
        self.settings = load_settings(None, flags, {})
        facts = {name: TopicFacts(name, 1, 1, {}) for name in NAMES}
        self.broker = NotedBroker(make_broker(self.settings, facts, "earliest"))

    def _fill(self) -> None:
        producer = Producer({"bootstrap.servers": self.cluster.bootstrap_servers})
        for _ in range(RECORDS):
            producer.produce(NAMES.raw, EVENT, b"u1")
        assert producer.flush(_FILLED_S) == 0

    def work(self, contract: Processor | None = None, **options: Any) -> Remembering:
        """Run a worker until so many records are committed as there are."""
        options = {"give_up_s": _GIVE_UP_S, **options}
        meter = work(self.broker, RECORDS, contract=contract, **options)
        said = self.broker.diary, meter.recoveries, self.cluster.requests()
        assert meter.total.records >= RECORDS, f"it did not come to its end: {said}"
        return meter

    def outage(self) -> None:
        """Take the broker away for a moment."""
        self.cluster.down()
        threading.Timer(0.3, self.cluster.up).start()

    def sources(self) -> list[int]:
        """Offsets of the raw records whose outcome is in the output topics, as often as it is."""
        headers = [
            dict(each.headers)
            for topic in (NAMES.enriched, NAMES.dead_letter)
            for each in read_topic(self.cluster.bootstrap_servers, topic)
        ]
        names = [each.get(TrackHeader.SOURCE) or each[DlqHeader.SOURCE] or b"" for each in headers]
        return sorted(int(name.rsplit(b"/", 1)[1]) for name in names)
