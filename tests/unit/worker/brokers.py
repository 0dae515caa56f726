"""The two brokers that the worker's contract tests run on, behind one small interface."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from pipeline.core.process import Processor
from pipeline.core.record import Output, Record, Role
from pipeline.kafka import Admin
from pipeline.ports import Broker
from pipeline.preflight import checked_topics
from pipeline.settings.model import load_settings
from pipeline.wiring import make_broker
from pipeline.worker.memory_broker import MemoryBroker
from pipeline.worker.transaction_size import TransactionLimits
from tests.brokers import Sent, create_topics, produce, produce_in_transaction, read_topic
from tests.unit.worker.harness import LIMITS, Remembering, processor, work

PARTITIONS = 3
LARGEST = 4_000_000
"""Bytes: the largest hostile payload fits."""
_GIVE_UP_S = 60.0


class Harness(Protocol):
    """A raw topic, a worker to run on it, and what it wrote."""

    def write(self, records: Iterable[Sent]) -> None:
        """Append raw records."""

    def write_in_transaction(self, records: Iterable[Sent], *, committed: bool) -> None:
        """Append raw records in one transaction, which is committed or aborted."""

    def work(
        self,
        records: int,
        *,
        to_end: bool = False,
        limits: TransactionLimits = LIMITS,
        **settings: Any,
    ) -> Remembering:
        """Run a worker until so many records are committed; `to_end`: until there is no lag."""

    def committed(self) -> dict[int, int]:
        """Partition → what the worker's group has committed."""

    def ends(self) -> dict[int, int]:
        """Partition → the raw topic's end."""

    def raw(self) -> list[Record]:
        """The raw records as read."""

    def outputs(self) -> list[Output]:
        """What a read_committed reader sees: by role, partition and order."""


def in_order(outputs: Iterable[Output]) -> list[Output]:
    """By role and partition; the order within stays."""
    return sorted(outputs, key=lambda output: (output.role, output.partition))


class MemoryHarness:
    """See `Harness`."""

    def __init__(self) -> None:
        self._broker = MemoryBroker(partitions=PARTITIONS, batch=7)

    def write(self, records: Iterable[Sent]) -> None:
        """See `Harness`."""
        for sent in records:
            self._broker.append(
                sent.value, sent.key, sent.headers, sent.timestamp, max(0, sent.partition)
            )

    def write_in_transaction(self, records: Iterable[Sent], *, committed: bool) -> None:
        """See `Harness`."""
        sent = list(records)
        if committed:
            self.write(sent)
        else:
            for each in sent:
                self._broker.append_marker(max(0, each.partition))
        for partition in {max(0, each.partition) for each in sent}:
            self._broker.append_marker(partition)

    def work(
        self,
        records: int,
        *,
        to_end: bool = False,
        limits: TransactionLimits = LIMITS,
        **settings: Any,
    ) -> Remembering:
        """See `Harness`."""
        contract = processor(**settings)
        return work(self._broker, records, contract=contract, to_end=to_end, limits=limits)

    def committed(self) -> dict[int, int]:
        """See `Harness`."""
        return {number: at for (_, number), at in self._broker.committed.items()}

    def ends(self) -> dict[int, int]:
        """See `Harness`."""
        return {number: len(log) for number, log in enumerate(self._broker.raw)}

    def raw(self) -> list[Record]:
        """See `Harness`."""
        return [record for log in self._broker.raw for record in log if record is not None]

    def outputs(self) -> list[Output]:
        """See `Harness`."""
        return in_order(self._broker.outputs)


class KafkaHarness:
    """See `Harness`."""

    def __init__(self, servers: str, name: Callable[[str], str], delivery: str) -> None:
        self._servers = servers
        self._admin = Admin({"bootstrap.servers": servers}, _GIVE_UP_S)
        self._delivery = delivery
        self._topics = {role: name(role) for role in Role if role is not Role.DROPPED}
        self._raw = name("raw")
        size = {"max.message.bytes": str(LARGEST), "message.timestamp.after.max.ms": str(2**62)}
        whole_records = {**size, "max.message.bytes": str(LARGEST + 65_536)}
        rest = [self._topics[Role.ENRICHED], self._topics[Role.IDENTIFY], self._raw]
        create_topics(servers, *rest, partitions=PARTITIONS, config=size)
        largest = [self._topics[Role.DEAD_LETTER], self._topics[Role.OTHER]]
        create_topics(servers, *largest, partitions=PARTITIONS, config=whole_records)

    def write(self, records: Iterable[Sent]) -> None:
        """See `Harness`."""
        produce(self._servers, self._raw, records, largest=LARGEST)

    def write_in_transaction(self, records: Iterable[Sent], *, committed: bool) -> None:
        """See `Harness`."""
        produce_in_transaction(self._servers, self._raw, records, committed=committed)

    def work(
        self,
        records: int,
        *,
        to_end: bool = False,
        limits: TransactionLimits = LIMITS,
        **settings: Any,
    ) -> Remembering:
        """See `Harness`."""
        broker, contract = self._make(settings)
        return work(
            broker, records, contract=contract, give_up_s=_GIVE_UP_S, to_end=to_end, limits=limits
        )

    def committed(self) -> dict[int, int]:
        """See `Harness`."""
        return self._admin.committed(self._raw, self._raw)

    def ends(self) -> dict[int, int]:
        """See `Harness`."""
        return {number: end for number, (_, end) in self._admin.extents(self._raw).items()}

    def _make(self, contract: dict[str, Any]) -> tuple[Broker, Processor]:
        names = {f"topics.{role.value}": topic for role, topic in self._topics.items()}
        flags = {
            **names,
            "topics.raw": self._raw,
            "group": self._raw,
            "delivery": self._delivery,
            "kafka.bootstrap.servers": self._servers,
        }
        settings = load_settings(None, {**flags, **contract}, {})
        broker = make_broker(settings, checked_topics(settings, print), None)
        return broker, processor(**contract)

    def raw(self) -> list[Record]:
        """See `Harness`."""
        return [
            Record(each.value, each.key, each.headers, each.timestamp, self._raw, *each[4:])
            for each in read_topic(self._servers, self._raw)
        ]

    def outputs(self) -> list[Output]:
        """See `Harness`."""
        return in_order(
            Output(role, each.value, each.key, each.headers, each.timestamp, each.partition)
            for role, topic in self._topics.items()
            for each in read_topic(self._servers, topic)
        )
