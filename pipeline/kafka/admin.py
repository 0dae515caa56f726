"""Facts about topics, and their creation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from typing import Final, NamedTuple, TypeVar

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.cimpl import NewTopic

from pipeline.errors import TransportError
from pipeline.kafka.clients import LibrdkafkaConfig, make_admin, plain_config
from pipeline.kafka.committed_offsets import CommittedOffsets
from pipeline.kafka.diagnosis import Address, diagnosis
from pipeline.kafka.errors import PASSING, LastClientError, kafka_error, reason, refusal
from pipeline.kafka.partitions import partitions_of
from pipeline.kafka.topic_metadata import broker_config, facts_of
from pipeline.kafka.wait_notices import Say, ignore_wait, told
from pipeline.ports import Stop, TopicFacts, TopicSpec

_ASK_EVERY_S: Final = 1.0
_ASK_AGAIN_S: Final = 0.1
_LAST_WORD_S: Final = 3.0
_Result = TypeVar("_Result")


class GroupProgress(NamedTuple):
    """Offsets that a group has committed, of all that a topic has."""

    committed: int
    total: int


class Admin:
    """Asks and changes a cluster; every method raises TransportError with a sentence."""

    def __init__(
        self, kafka: LibrdkafkaConfig, timeout_s: float, on_wait: Say = ignore_wait
    ) -> None:
        """`on_wait` hears in a sentence, from another thread, what a longer wait is for."""
        self._timeout_s = timeout_s
        self._kafka = kafka
        self._servers = str(kafka.get("bootstrap.servers", ""))
        self._on_wait = on_wait
        self._last_error = LastClientError()
        self._brokers: dict[int, Address] = {}
        self._offsets_of: dict[str, CommittedOffsets] = {}
        self._client = make_admin(plain_config(kafka), self._last_error)

    def wait_until_reachable(self, stop: Stop | None = None) -> int:
        """Wait for the cluster to answer; the number of brokers, 0 after a stop was asked for."""
        deadline = time.monotonic() + self._timeout_s
        with self.told(f"Kafka does not answer yet at {self._servers}"):
            while not self._ask_for_brokers():
                if stop is not None and stop.is_set():
                    return 0
                if time.monotonic() > deadline:
                    raise self._unreachable()
        return len(self._brokers)

    def _ask_for_brokers(self) -> bool:
        """Whether the cluster says which brokers it has."""
        try:
            found = self._client.list_topics(timeout=_ASK_EVERY_S).brokers
        except KafkaException as error:
            known = refusal(kafka_error(error), "asking the cluster")
            if known is not None:
                raise known from error
            return False
        self._brokers = {number: (str(each.host), each.port) for number, each in found.items()}
        if not found:
            time.sleep(_ASK_AGAIN_S)  # a broker that has just started may know of none
        return bool(found)

    def told(self, what: str, why: Callable[[], str] | None = None) -> AbstractContextManager[None]:
        """Tell of a wait in the body, with its cause: what keeps us from the brokers, or `why`."""
        return told(self._on_wait, what, why or self.cause)

    def cause(self) -> str:
        """`: <what keeps us from the brokers, and what to do>`, or nothing."""
        self._client.poll(0)  # the error callback runs only inside poll
        return diagnosis(self._kafka, self._last_error, list(self._brokers.values()))

    def _unreachable(self) -> TransportError:
        if self._last_error.error is None:
            self._client.poll(_LAST_WORD_S)  # a login that was slow may fail just now
        why = self.cause() or (
            ": is the address right (kafka.bootstrap.servers, TRACK_KAFKA_BOOTSTRAP_SERVERS), and "
            "do security.protocol and credentials fit?"
        )
        return TransportError(
            f"no Kafka broker answers at {self._servers} within {self._timeout_s:.0f} s{why}"
        )

    def _patiently(self, call: Callable[[], _Result], what: str) -> _Result:
        """Make the call again while the cluster is only not ready yet."""
        deadline = time.monotonic() + self._timeout_s
        with self.told(f"still {what}"):
            while True:
                try:
                    return call()
                except KafkaException as error:
                    passing = kafka_error(error).code() in PASSING
                    if not passing or time.monotonic() > deadline:
                        raise self._sentence(error, what) from error
                    time.sleep(_ASK_AGAIN_S)

    def topics(self, names: Iterable[str]) -> dict[str, TopicFacts]:
        """The facts of those of the topics that exist, or that one may not see."""
        wanted = list(names)
        return self._patiently(
            lambda: facts_of(self._client, wanted, self._timeout_s), "asking for the topics"
        )

    def broker_config(self) -> dict[str, str]:
        """The settings of one of the brokers; empty when they can't be had, as of some services."""
        broker = next(iter(self._brokers), -1)
        with suppress(TransportError):
            return self._patiently(
                lambda: broker_config(self._client, broker, self._timeout_s),
                "asking for the settings of a broker",
            )
        return {}

    def progress(self, group: str, topic: str) -> GroupProgress:
        """How far a group has committed a topic."""
        what = f"asking for the offsets of group {group}"
        return self._patiently(lambda: self._progress(group, topic), what)

    def _progress(self, group: str, topic: str) -> GroupProgress:
        begins, ends = self._begins(topic), self._ends(topic)
        committed = self._committed(group, topic)
        done = sum(max(0, offset - begins[number]) for number, (offset, _) in committed.items())
        return GroupProgress(done, sum(ends.values()) - sum(begins.values()))

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """Partition → committed offset, of the partitions of which the group has one."""
        return {number: offset for number, (offset, _) in self._ask_for(group, topic).items()}

    def commit_notes(self, group: str, topic: str) -> list[str]:
        """The metadata beside the committed offsets, of the partitions that have some."""
        return [text for _, text in self._ask_for(group, topic).values() if text]

    def _ask_for(self, group: str, topic: str) -> dict[int, tuple[int, str]]:
        what = f"asking for the offsets of group {group}"
        return self._patiently(lambda: self._committed(group, topic), what)

    def _committed(self, group: str, topic: str) -> dict[int, tuple[int, str]]:
        if group not in self._offsets_of:
            self._offsets_of[group] = CommittedOffsets(self._kafka, group, self._last_error)
        return self._offsets_of[group].read(self._places(topic), self._timeout_s)

    def extents(self, topic: str, *, stable: bool = False) -> dict[int, tuple[int, int]]:
        """Partition → the first offset that is left, and the one after the last.

        Records of transactions that are still open are among them; `stable` ends before the first
        of these, so that reading needs to wait for nobody.
        """

        def ask() -> dict[int, tuple[int, int]]:
            begins, ends = self._begins(topic), self._ends(topic, stable=stable)
            return {number: (begin, ends[number]) for number, begin in begins.items()}

        return self._patiently(ask, f"asking for the offsets of topic {topic}")

    def offsets_at(self, topic: str, time_ms: int) -> dict[int, int]:
        """Partition → the first offset with this timestamp (epoch milliseconds) or a later one.

        A partition without one is left out. Records before it are all older.
        """

        def ask() -> dict[int, int]:
            found = self._offsets(topic, OffsetSpec.for_timestamp(time_ms))
            return {number: offset for number, offset in found.items() if offset >= 0}

        return self._patiently(ask, f"asking for the times of topic {topic}")

    def _begins(self, topic: str) -> dict[int, int]:
        return self._offsets(topic, OffsetSpec.earliest())  # type: ignore[no-untyped-call]

    def _ends(self, topic: str, *, stable: bool = False) -> dict[int, int]:
        which: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        return self._offsets(topic, which, stable=stable)

    def _offsets(self, topic: str, which: OffsetSpec, *, stable: bool = False) -> dict[int, int]:
        answers = self._client.list_offsets(
            dict.fromkeys(self._places(topic), which),
            isolation_level=(
                IsolationLevel.READ_COMMITTED if stable else IsolationLevel.READ_UNCOMMITTED
            ),
            request_timeout=self._timeout_s,
        )
        return {place.partition: future.result().offset for place, future in answers.items()}

    def _places(self, topic: str) -> list[TopicPartition]:
        numbers = partitions_of(self._client, topic, self._timeout_s, self._last_error)
        return [TopicPartition(topic, number) for number in numbers]

    def create(self, topics: Iterable[TopicSpec]) -> list[str]:
        """Create topics, and wait until they can be used; the names of those that are new."""
        new = [
            NewTopic(
                topic.name,
                num_partitions=topic.partitions,
                replication_factor=topic.replication,
                config=dict(topic.config),
            )
            for topic in topics
        ]
        with self.told("still creating the topics"):
            return self._created(new)

    def _created(self, new: list[NewTopic]) -> list[str]:
        created = []
        for name, future in self._client.create_topics(
            new, operation_timeout=self._timeout_s, request_timeout=self._timeout_s
        ).items():
            try:
                future.result()
            except KafkaException as error:
                if kafka_error(error).code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise self._sentence(error, f"creating topic {name}") from error
            else:
                created.append(name)
        try:
            self._wait_until_known([topic.topic for topic in new])
        except KafkaException as error:
            raise self._sentence(error, "asking for the new topics") from error
        return created

    def _wait_until_known(self, names: list[str]) -> None:
        """The controller has created them; the brokers hear of it a moment later."""
        deadline = time.monotonic() + self._timeout_s
        while missing := sorted(name for name in names if not self._is_known(name)):
            if time.monotonic() > deadline:
                raise TransportError(
                    f"created, but not known to the brokers yet: topics {', '.join(missing)}"
                )
            time.sleep(_ASK_AGAIN_S)

    def _is_known(self, name: str) -> bool:
        """Whether all partitions of a topic have a leader, as clients see it; or it is hidden."""
        topic = self._client.list_topics(name, timeout=self._timeout_s).topics[name]
        if topic.error is not None:
            return bool(topic.error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED)
        return min((each.leader for each in topic.partitions.values()), default=-1) >= 0

    def _sentence(self, error: KafkaException, what: str) -> TransportError:
        inner = kafka_error(error)
        known = refusal(inner, what)
        if known is not None:
            return known
        # What the client finds out by itself is that time is over; the cause says more.
        cause = self.cause() if inner.code() < 0 else ""
        return TransportError(f"{what}{cause or f': {reason(inner)}'}")
