"""Checks that the coordinators of groups and transactions work; without them nothing is committed.

Kafka creates the internal topics of its coordinators when one is first needed. On a single broker
with Kafka's own defaults that never succeeds, and the client only reports a timeout.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from pipeline.errors import RefusedError, TransportError
from pipeline.kafka.admin import Admin
from pipeline.kafka.clients import is_classic, make_consumer, make_producer
from pipeline.kafka.committed_offsets import CommittedOffsets
from pipeline.kafka.errors import TRANSIENT, LastClientError, kafka_error, refusal
from pipeline.kafka.session_config import SessionConfig
from pipeline.ports import Stop

_STEP_S: Final = 1.0
_RETRY_S: Final = 0.2
_NEVER_ALLOWED_MS: Final = 2**31 - 1
"""Transaction timeout that every broker rejects, unless its limit is Java's largest integer."""
_SILENT: Final = logging.getLogger("pipeline.librdkafka.probe")
"""Discards what the probing client logs: it reports the intended rejection as a fatal error."""
_SILENT.disabled = True
_SESSION_MS: Final = 45_000
"""librdkafka's default of session.timeout.ms."""
_PROBE: Final = ".check"


class _Coordinator(NamedTuple):
    name: str
    topic: str
    factor: str
    """Name of the broker setting for the topic's replication factor."""
    in_sync: str
    """Name of the broker setting for the topic's min.insync.replicas when it is created."""


_GROUP: Final = _Coordinator(
    "group coordinator",
    "__consumer_offsets",
    "offsets.topic.replication.factor",
    "min.insync.replicas",
)
_TRANSACTION: Final = _Coordinator(
    "transaction coordinator",
    "__transaction_state",
    "transaction.state.log.replication.factor",
    "transaction.state.log.min.isr",
)


class Coordinators:
    """Checks the coordinators of a session. Changes nothing and fences nobody."""

    def __init__(
        self, config: SessionConfig, cluster: Admin, brokers: int, warn: Callable[[str], None]
    ) -> None:
        self._config = config
        self._cluster = cluster
        self._brokers = brokers
        self._warn = warn

    def check(self, stop: Stop | None = None) -> None:
        """Wait for the coordinators.

        Raises RefusedError for a missing ACL or a timeout that the brokers reject, TransportError
        when a coordinator does not become available, ClientSettingsError when a client can't be
        created.
        """
        self._refuse_beyond_limits()
        last_error = LastClientError()
        make_consumer(dict(self._config.consumer), last_error).close()
        offsets = CommittedOffsets(self._config.shared, self._config.group, last_error)
        self._wait_for(_GROUP, lambda: self._group_answers(offsets), stop)
        if self._config.exactly_once:
            producer = make_producer(self._probing(), last_error, log=_SILENT)
            self._wait_for(_TRANSACTION, lambda: self._transactions_answer(producer), stop)

    def _refuse_beyond_limits(self) -> None:
        """Reject timeouts that the brokers do not accept, naming our settings and theirs."""
        broker, consumer = self._cluster.broker_config(), self._config.consumer
        own_ms = round(self._config.transaction_timeout_s * 1000)
        most_ms = int(broker.get("transaction.max.timeout.ms", own_ms))
        if self._config.exactly_once and own_ms > most_ms:
            raise RefusedError(
                f"transaction_timeout_ms is {own_ms}, but the brokers' transaction.max.timeout.ms "
                f"is {most_ms}: lower the first or raise the second"
            )
        session_ms = int(consumer.get("session.timeout.ms", _SESSION_MS))
        low, high = (
            int(broker.get(f"group.{end}.session.timeout.ms", session_ms)) for end in ("min", "max")
        )
        if is_classic(consumer) and not low <= session_ms <= high:
            raise RefusedError(
                f"consumer.session.timeout.ms is {session_ms}, but the brokers accept {low} to "
                f"{high} (group.min.session.timeout.ms, group.max.session.timeout.ms): correct it"
            )

    def _wait_for(
        self, coordinator: _Coordinator, answers: Callable[[], bool], stop: Stop | None
    ) -> None:
        """Ask until the coordinator answers and can store its state."""
        timeout_s = self._config.startup_timeout_s
        deadline = time.monotonic() + timeout_s

        def why() -> str:
            with suppress(TransportError):
                return self._fault(coordinator) or self._cluster.cause()
            return self._cluster.cause()

        answered = False
        with self._cluster.announced(f"the {coordinator.name} is not available yet", why) as wait:
            while not (answered and self._enough_in_sync(coordinator)):
                if not answered and (answered := answers()):
                    continue
                if stop is not None and stop.is_set():
                    return
                if time.monotonic() > deadline:
                    raise TransportError(
                        f"the {coordinator.name} is not available within {timeout_s:.0f} s{why()}"
                    )
                time.sleep(_RETRY_S)
            wait.end(f"the {coordinator.name} is available now")

    def _group_answers(self, offsets: CommittedOffsets) -> bool:
        group = self._config.group
        try:
            offsets.read([TopicPartition(self._config.raw_topic, 0)], _STEP_S)
        except KafkaException as failure:
            # The worker needs READ, which is more than this question needs.
            known = refusal(kafka_error(failure), "reading the offsets of the group", group=group)
            if known is not None:
                raise known from failure
            return False
        return True

    def _probing(self) -> dict[str, Any]:
        """Return the configuration of a producer that the coordinator is certain to reject.

        It is rejected for its timeout before the coordinator looks at the id, so nothing is stored.
        Should a broker accept it after all, the id belongs to nobody: with the worker's own, this
        check would fence a running worker.
        """
        return {
            **self._config.producer,
            "transactional.id": f"{self._config.producer['transactional.id']}{_PROBE}",
            "transaction.timeout.ms": _NEVER_ALLOWED_MS,
        }

    def _transactions_answer(self, producer: Any) -> bool:  # noqa: ANN401  the client's
        try:
            producer.poll(0)  # an answer that came between two calls is raised here
            producer.init_transactions(_STEP_S)
        except KafkaException as failure:
            error = kafka_error(failure)
            if error.code() == KafkaError.INVALID_TRANSACTION_TIMEOUT:
                return True
            if error.code() == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
                # The ACL may cover the worker's own id alone.
                own = str(self._config.producer["transactional.id"])
                self._warn(
                    "can't check whether transactions work: this user has no WRITE permission on "
                    f"the transactional id {own}{_PROBE}; grant it on the prefix of the ids, not "
                    "on a single one"
                )
                return True
            known = refusal(error, "starting transactions")
            if known is not None:
                raise known from failure
            # Any other answer of a broker is an answer.
            return error.code() >= 0 and error.code() not in TRANSIENT
        return True

    def _enough_in_sync(self, coordinator: _Coordinator) -> bool:
        topic = None
        with suppress(TransportError):  # not every service lets clients describe this topic
            topic = self._cluster.topics([coordinator.topic]).get(coordinator.topic)
        if topic is None or topic.in_sync is None or not topic.config:
            return True  # a coordinator has answered, and more can't be determined
        return topic.in_sync >= topic.number("min.insync.replicas", 1)

    def _fault(self, coordinator: _Coordinator) -> str:
        """Return `: <why Kafka can't store the coordinator's state>`, or nothing."""
        topic = self._cluster.topics([coordinator.topic]).get(coordinator.topic)
        number = f"{self._brokers} broker{'' if self._brokers == 1 else 's'}"
        if topic is None:
            factor = self._cluster.broker_config().get(coordinator.factor)
            exceeds = f"is {factor}, but" if factor else "may be too high:"
            if factor is not None and int(factor) <= self._brokers:
                return ""
            return (
                f": Kafka can't create its topic {coordinator.topic}: {coordinator.factor} "
                f"{exceeds} the cluster has {number}. Lower it in the brokers' configuration, or "
                "add brokers"
            )
        if not topic.partitions or topic.in_sync is None:
            return ""
        needs = topic.number("min.insync.replicas", 1)
        if topic.in_sync < needs:
            return (
                f": too few replicas of its topic {coordinator.topic} are in sync: "
                f"{topic.in_sync}, but min.insync.replicas is {needs} (taken from the broker's "
                f"{coordinator.in_sync} when the topic was created). Restart the other brokers, or "
                "lower it with kafka-configs"
            )
        return ""
