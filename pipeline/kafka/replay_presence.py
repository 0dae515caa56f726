"""Shows which replays have a running process, through the members of consumer groups.

Kafka does not say who uses a transactional id, or whether anybody does, and a replay's offsets say
nothing while it compares or verifies. So a process that works on a replay is also the only member
of a consumer group that reads nothing. Kafka removes the member when its session ends, so a process
that was killed is known to be gone after SESSION_S at most. This protects nothing: only
transactional ids do.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import signal
import threading
from collections.abc import Collection, Mapping
from typing import Final

from confluent_kafka import Consumer, ConsumerGroupState, KafkaException, TopicPartition

from pipeline.errors import TransportError
from pipeline.kafka.clients import LibrdkafkaConfig, make_admin, make_consumer, plain_config
from pipeline.kafka.errors import LastClientError, kafka_error, reason, refusal
from pipeline.kafka.group_state import GIVEN_UP_S

SESSION_S: Final = 10
"""How long a process that was killed still counts as a member, in seconds."""
_POLL_S: Final = 0.5
_DAY_MS: Final = 86_400_000


class ReplayPresence:
    """Membership in a group, from its creation until it is closed. Never raises."""

    def __init__(self, kafka: LibrdkafkaConfig, group: str, topic: str) -> None:
        """`topic` must exist and be readable; nothing of it is read."""
        config = {
            **plain_config(kafka),
            "group.id": group,
            "enable.auto.commit": False,
            "session.timeout.ms": SESSION_S * 1000,
            "max.poll.interval.ms": _DAY_MS,
        }
        self._over = threading.Event()
        self._consumer = make_consumer(config, LastClientError())
        self._consumer.subscribe([topic], on_assign=_read_nothing)
        self._thread = threading.Thread(target=self._stay, name="presence", daemon=True)
        # The thread inherits this: signals are for the main thread, or whoever listens to them.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._thread.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _stay(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(KafkaException):
                self._consumer.poll(_POLL_S)

    def close(self) -> None:
        """Leave the group."""
        self._over.set()
        self._thread.join()
        with contextlib.suppress(KafkaException, RuntimeError):
            self._consumer.close()


def _read_nothing(consumer: Consumer, _: list[TopicPartition]) -> None:
    consumer.assign([])


def members_of(
    kafka: LibrdkafkaConfig, groups: Collection[str], timeout_s: float
) -> Mapping[str, tuple[str, ...]]:
    """Return the addresses of the members of each group that Kafka knows. TransportError.

    A group that has lost all of its members has none; one that never had any is left out.
    """
    if not groups:
        return {}
    last_error = LastClientError()
    client = make_admin(plain_config(kafka), last_error)
    answers = client.describe_consumer_groups(list(groups), request_timeout=GIVEN_UP_S)
    found: dict[str, tuple[str, ...]] = {}
    for group, future in answers.items():
        what = f"asking for the members of group {group}"
        try:
            described = future.result(timeout_s)
        except KafkaException as exception:
            error = kafka_error(exception)
            raise refusal(error, what, group=group) or TransportError(
                f"{what}: {reason(error)}{last_error.sentence()}"
            ) from exception
        except concurrent.futures.TimeoutError as error:
            raise TransportError(f"{what}: no answer{last_error.sentence()}") from error
        if described.state is not ConsumerGroupState.DEAD:
            found[group] = tuple(each.host.removeprefix("/") for each in described.members)
    return found
