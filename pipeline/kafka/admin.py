"""Reads the facts of topics and groups, and creates topics."""

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
from pipeline.kafka.errors import TRANSIENT, LastClientError, kafka_error, reason, refusal
from pipeline.kafka.partitions import partitions_of
from pipeline.kafka.topic_metadata import broker_config, facts_of
from pipeline.kafka.topic_offsets import PartitionOffsets, offsets_of
from pipeline.kafka.wait_notices import OnWait, Wait, announced, ignore_wait
from pipeline.ports import Stop, TopicFacts, TopicSpec

_ATTEMPT_S: Final = 1.0
"""Time limit of one question while waiting for the cluster."""
_RETRY_S: Final = 0.1
_LAST_CAUSE_S: Final = 3.0
"""How long to wait for a late cause of failure: a refused authentication takes a second or two."""
_Result = TypeVar("_Result")


class GroupProgress(NamedTuple):
    """How many of a topic's offsets a group has committed."""

    committed: int
    total: int


class Admin:
    """Reads and changes a cluster. Every method raises TransportError with one sentence."""

    def __init__(
        self, kafka: LibrdkafkaConfig, timeout_s: float, on_wait: OnWait = ignore_wait
    ) -> None:
        """`on_wait` is called from another thread, with a sentence about each longer wait."""
        self._timeout_s = timeout_s
        self._kafka = kafka
        self._servers = str(kafka.get("bootstrap.servers", ""))
        self._on_wait = on_wait
        self._last_error = LastClientError()
        self._brokers: dict[int, Address] = {}
        self._offsets_of: dict[str, CommittedOffsets] = {}
        self._client = make_admin(plain_config(kafka), self._last_error)

    def wait_until_reachable(self, stop: Stop | None = None) -> int:
        """Wait until the cluster answers.

        Return the number of brokers, or 0 after a stop request.
        """
        deadline = time.monotonic() + self._timeout_s
        with self.announced(f"Kafka does not answer yet at {self._servers}") as wait:
            while not self._ask_for_brokers():
                if stop is not None and stop.is_set():
                    return 0
                if time.monotonic() > deadline:
                    raise self._unreachable()
            wait.end(f"Kafka answers now at {self._servers}")
        return len(self._brokers)

    def _ask_for_brokers(self) -> bool:
        """Return whether the cluster lists its brokers."""
        try:
            found = self._client.list_topics(timeout=_ATTEMPT_S).brokers
        except KafkaException as error:
            known = refusal(kafka_error(error), "asking the cluster")
            if known is not None:
                raise known from error
            return False
        self._brokers = {number: (str(each.host), each.port) for number, each in found.items()}
        if not found:
            time.sleep(_RETRY_S)  # a broker that has just started may list none
        return bool(found)

    def announced(
        self, what: str, why: Callable[[], str] | None = None
    ) -> AbstractContextManager[Wait]:
        """Announce a wait in the body that takes long, with `why` or the connection's fault."""
        return announced(self._on_wait, what, why or self.cause)

    def cause(self) -> str:
        """Return `: <why the brokers can't be reached, and what to do>`, or nothing."""
        self._client.poll(0)  # the error callback runs only inside poll
        return diagnosis(self._kafka, self._last_error, list(self._brokers.values()))

    def _unreachable(self) -> TransportError:
        if self._last_error.error is None:
            self._client.poll(_LAST_CAUSE_S)  # a slow authentication may fail just now
        why = self.cause() or (
            ": check the address (kafka.bootstrap.servers, TRACK_KAFKA_BOOTSTRAP_SERVERS), "
            "security.protocol and the credentials"
        )
        return TransportError(
            f"no Kafka broker answers at {self._servers} within {self._timeout_s:.0f} s{why}"
        )

    def _patiently(self, call: Callable[[], _Result], what: str) -> _Result:
        """Retry a call while the cluster is only not ready yet."""
        deadline = time.monotonic() + self._timeout_s
        with self.announced(f"still {what}") as wait:
            while True:
                try:
                    answer = call()
                except KafkaException as error:
                    passing = kafka_error(error).code() in TRANSIENT
                    if not passing or time.monotonic() > deadline:
                        raise self._sentence(error, what) from error
                    time.sleep(_RETRY_S)
                else:
                    wait.end(f"done {what}")
                    return answer

    def topics(self, names: Iterable[str]) -> dict[str, TopicFacts]:
        """Return the facts of those topics that exist or are hidden from this client."""
        wanted = list(names)
        return self._patiently(
            lambda: facts_of(self._client, wanted, self._timeout_s), "asking for the topics"
        )

    def broker_config(self) -> dict[str, str]:
        """Return one broker's settings; empty where they can't be read, as in managed services."""
        broker = next(iter(self._brokers), -1)
        with suppress(TransportError):
            return self._patiently(
                lambda: broker_config(self._client, broker, self._timeout_s),
                "asking for the settings of a broker",
            )
        return {}

    def progress(self, group: str, topic: str) -> GroupProgress:
        """Return how far a group has committed a topic."""
        what = f"asking for the offsets of group {group}"
        return self._patiently(lambda: self._progress(group, topic), what)

    def _progress(self, group: str, topic: str) -> GroupProgress:
        begins, ends = self._begins(topic), self._ends(topic)
        committed = self._committed(group, topic)
        done = sum(max(0, offset - begins[number]) for number, (offset, _) in committed.items())
        return GroupProgress(done, sum(ends.values()) - sum(begins.values()))

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """Return the group's committed offsets by partition.

        Partitions without one are left out.
        """
        found = self.committed_with_metadata(group, topic)
        return {number: offset for number, (offset, _) in found.items()}

    def commit_notes(self, group: str, topic: str) -> list[str]:
        """Return the metadata of the committed offsets that have some."""
        return [text for _, text in self.committed_with_metadata(group, topic).values() if text]

    def committed_with_metadata(self, group: str, topic: str) -> dict[int, tuple[int, str]]:
        """Return the group's committed offsets, each with its metadata, by partition."""
        what = f"asking for the offsets of group {group}"
        return self._patiently(lambda: self._committed(group, topic), what)

    def _committed(self, group: str, topic: str) -> dict[int, tuple[int, str]]:
        if group not in self._offsets_of:
            self._offsets_of[group] = CommittedOffsets(self._kafka, group, self._last_error)
        try:
            return self._offsets_of[group].read(self._places(topic), self._timeout_s)
        except KafkaException:
            # A client that has met a restarted broker may never find the coordinator again.
            del self._offsets_of[group]
            raise

    def extents(self, topic: str, *, stable: bool = False) -> dict[int, tuple[int, int]]:
        """Return each partition's first remaining offset and the one after its last.

        This includes records of open transactions. With `stable` the range ends before the first of
        them, so that reading it waits for nobody.
        """

        def ask() -> dict[int, tuple[int, int]]:
            begins, ends = self._begins(topic), self._ends(topic, stable=stable)
            return {number: (begin, ends[number]) for number, begin in begins.items()}

        return self._patiently(ask, f"asking for the offsets of topic {topic}")

    def partition_offsets(self, topic: str) -> dict[int, PartitionOffsets | None]:
        """Return where each partition begins and ends; None where it is not known."""
        return self._patiently(
            lambda: offsets_of(self._client, topic, self._timeout_s),
            f"asking for the offsets of topic {topic}",
        )

    def offsets_at(self, topic: str, time_ms: int) -> dict[int, int]:
        """Return each partition's first offset with this timestamp or a later one (epoch ms).

        Partitions without one are left out. Records before that offset are all older.
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
        """Create topics and wait until they can be used. Return the names of those that are new."""
        new = [
            NewTopic(
                topic.name,
                num_partitions=topic.partitions,
                replication_factor=topic.replication,
                config=dict(topic.config),
            )
            for topic in topics
        ]
        with self.announced("still creating the topics") as wait:
            created = self._created(new)
            wait.end("done creating the topics")
        return created

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
        """Wait until the brokers know the topics that the controller has created."""
        deadline = time.monotonic() + self._timeout_s
        while missing := sorted(name for name in names if not self._is_known(name)):
            if time.monotonic() > deadline:
                raise TransportError(
                    f"created, but not known to the brokers yet: topics {', '.join(missing)}"
                )
            time.sleep(_RETRY_S)

    def _is_known(self, name: str) -> bool:
        """Return whether the leaders of all partitions serve a topic, or the topic is hidden.

        A broker is announced as a leader before it knows that itself, and refuses records until
        then: a producer without idempotence that tries again would write them in another order.
        """
        topic = self._client.list_topics(name, timeout=self._timeout_s).topics[name]
        if topic.error is not None:
            return bool(topic.error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED)
        found = offsets_of(self._client, name, self._timeout_s)
        return bool(found) and None not in found.values()

    def _sentence(self, error: KafkaException, what: str) -> TransportError:
        inner = kafka_error(error)
        known = refusal(inner, what)
        if known is not None:
            return known
        # The client's own error says only that time is up; the cause says more.
        cause = self.cause() if inner.code() < 0 else ""
        return TransportError(f"{what}{cause or f': {reason(inner)}'}")
