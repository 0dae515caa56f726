"""Removes a static member from its group for good, after its process has ended.

A static member that closes stays a member until its session ends: that is the point of being
static. librdkafka makes a member leave only when it unsubscribes. So the name is taken once more,
which needs no rebalance, and then given up. The client has no call that removes a member by its
name alone.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from pipeline.errors import RefusedError, TransportError
from pipeline.kafka.clients import (
    LibrdkafkaConfig,
    is_classic,
    make_admin,
    make_consumer,
    plain_config,
)
from pipeline.kafka.errors import LastClientError, kafka_error, reason, refusal
from pipeline.kafka.group_state import Member, group_state

_POLL_S: Final = 0.1


class MemberRemoval:
    """Removes members of one group that reads one topic. Raises TransportError on failure."""

    def __init__(self, kafka: LibrdkafkaConfig, group: str, topic: str, timeout_s: float) -> None:
        self._group, self._topic, self._timeout_s = group, topic, timeout_s
        self._last_error = LastClientError()
        self._admin = make_admin(plain_config(kafka), self._last_error)

    def remove(self, consumer: Mapping[str, Any]) -> Member | None:
        """Remove the member that has this consumer's group.instance.id, and return it if it exists.

        A process that still uses the id is fenced, and joins again.
        """
        name = consumer["group.instance.id"]
        if not is_classic(consumer):
            raise RefusedError(
                f"{name} can't be removed from group {self._group}: with the new group protocol a "
                "static member leaves when its session ends (the broker's "
                "group.consumer.session.timeout.ms)"
            )
        member = self._member(name)
        if member is not None:
            self._take_and_give_up(consumer, f"removing {name} from group {self._group}")
        return member

    def _member(self, name: str) -> Member | None:
        asked = self._admin.describe_consumer_groups(
            [self._group], request_timeout=self._timeout_s
        )[self._group]
        try:
            found = group_state(asked.result(), self._topic)
        except KafkaException as error:
            what = f"asking for group {self._group}"
            raise self._failure(error, what) from error
        return next((each for each in found.members if each.name == name), None)

    def _take_and_give_up(self, config: Mapping[str, Any], what: str) -> None:
        consumer = make_consumer(dict(config), self._last_error)
        joined: list[int] = []

        def on_assign(client: Consumer, places: list[TopicPartition]) -> None:
            client.assign([])  # nothing is read
            joined.append(len(places))

        try:
            consumer.subscribe([self._topic], on_assign=on_assign)
            self._until(lambda: bool(joined), consumer, what)
            consumer.unsubscribe()
            self._until(lambda: not consumer.memberid(), consumer, what)
        except KafkaException as error:
            raise self._failure(error, what) from error
        finally:
            with contextlib.suppress(KafkaException, RuntimeError):
                consumer.close()

    def _until(self, reached: Callable[[], bool], consumer: Consumer, what: str) -> None:
        deadline = time.monotonic() + self._timeout_s
        while not reached():
            for message in consumer.consume(1, _POLL_S):
                error = message.error()
                if error is not None:
                    known = refusal(error, what, group=self._group)
                    if known is not None:
                        raise known
            if time.monotonic() > deadline:
                raise TransportError(
                    f"{what}: the group does not answer within {self._timeout_s:.0f} s"
                    f"{self._last_error.sentence()}"
                )

    def _failure(self, error: KafkaException, what: str) -> TransportError:
        inner = kafka_error(error)
        return refusal(inner, what, group=self._group) or TransportError(
            f"{what}: {reason(inner)}{self._last_error.sentence()}"
        )
