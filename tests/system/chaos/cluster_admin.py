"""Administers a cluster that may be broken: topics, limits, rights, offsets, group members."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclBindingFilter, AclOperation, AclPermissionType
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from confluent_kafka.cimpl import NewTopic

from tests.system.chaos.client_logging import SILENT

_ANSWER_S: Final = 5.0
_TIMEOUT_S: Final = 60.0
_AGAIN_S: Final = 0.1
_EVERYBODY: Final = "User:ANONYMOUS"
_LEAVE_GROUP: Final = 13
_LEAVE_GROUP_VERSION: Final = 3
_Answer = TypeVar("_Answer")


class ClusterAdmin:
    """Asks and changes the brokers; `retry` repeats a call until the cluster has healed."""

    def __init__(self, servers: str) -> None:
        self._servers = servers
        # Kept to the end: destroying a client that waits for an answer crashes the process.
        self._clients: list[AdminClient] = []
        self._consumers: dict[str, Consumer] = {}
        self._renew()

    def _renew(self) -> None:
        self.client = AdminClient({"bootstrap.servers": self._servers, **SILENT})
        self._clients.append(self.client)

    def failed(self, error: Exception) -> None:
        """React to a failed call: a client that timed out may never recover, so make a new one."""
        timed_out = KafkaError._TIMED_OUT  # noqa: SLF001  the client's own name
        if isinstance(error, KafkaException) and error.args[0].code() == timed_out:
            self._renew()
            self._consumers = {}

    def retry(self, call: Callable[[], _Answer], what: str) -> _Answer:
        """Repeat a call until it succeeds; TimeoutError when that takes more than a minute."""
        deadline = time.monotonic() + _TIMEOUT_S
        while True:
            try:
                return call()
            except (KafkaException, OSError) as error:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{what} took too long: {error}") from error
                self.failed(error)
                time.sleep(_AGAIN_S)

    def partitions(self, topic: str) -> int:
        """Number of partitions of a topic."""
        found = self.client.list_topics(topic, timeout=_ANSWER_S).topics[topic]
        if found.error is not None:
            raise KafkaException(found.error)
        return len(found.partitions)

    def ends(self, topic: str, *, committed: bool = True) -> dict[int, int]:
        """Partition → offset behind its last record; with `committed`, before open transactions."""
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        positions = {
            TopicPartition(topic, number): latest for number in range(self.partitions(topic))
        }
        answers = self.client.list_offsets(
            positions, isolation_level=level, request_timeout=_ANSWER_S
        )
        return {position.partition: future.result().offset for position, future in answers.items()}

    def begins(self, topic: str) -> dict[int, int]:
        """Partition → first offset that was not deleted."""
        earliest = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
        positions = {
            TopicPartition(topic, number): earliest for number in range(self.partitions(topic))
        }
        answers = self.client.list_offsets(positions, request_timeout=_ANSWER_S)
        return {position.partition: future.result().offset for position, future in answers.items()}

    def delete_records(self, topic: str, before: Mapping[int, int]) -> None:
        """Delete the records of each partition before an offset, as retention does."""
        positions = [TopicPartition(topic, number, offset) for number, offset in before.items()]
        for future in self.client.delete_records(positions, request_timeout=_ANSWER_S).values():
            future.result()

    def has_open_transactions(self, topic: str) -> bool:
        """Whether an open transaction keeps read_committed consumers from the end of a topic."""
        return self.ends(topic) != self.ends(topic, committed=False)

    def offsets(self, group: str, topic: str) -> list[TopicPartition]:
        """Committed offsets of a group with their metadata; -1001 where there is none."""
        positions = [TopicPartition(topic, number) for number in range(self.partitions(topic))]
        # A consumer that does not join asks for them: the admin client's call crashes the process
        # when the coordinator is not ready (librdkafka 2.16).
        found = self._consumer(group).committed(positions, _ANSWER_S)
        for position in found:
            if position.error is not None:
                raise KafkaException(position.error)
        return found

    def _consumer(self, group: str) -> Consumer:
        if group not in self._consumers:
            config = {"bootstrap.servers": self._servers, "group.id": group, **SILENT}
            self._consumers[group] = Consumer(config)
        return self._consumers[group]

    def set_offsets(self, group: str, positions: list[TopicPartition]) -> None:
        """Commit offsets for a group, which must be empty."""
        request = ConsumerGroupTopicPartitions(group, positions)
        (future,) = self.client.alter_consumer_group_offsets(
            [request], request_timeout=_ANSWER_S
        ).values()
        for position in future.result().topic_partitions:
            if position.error is not None:
                raise KafkaException(position.error)

    def delete_group(self, group: str) -> None:
        """Delete a group, which must be empty, with all its offsets."""
        (future,) = self.client.delete_consumer_groups([group], request_timeout=_ANSWER_S).values()
        future.result()

    def evict(self, group: str, instances: Iterable[str]) -> int:
        """Remove static members from a group, alive or not; returns how many there were."""
        return sum(self._evict(group, instance) for instance in instances)

    def _evict(self, group: str, instance: str) -> bool:
        # Only the group's coordinator knows its members; other brokers answer with an error.
        answers = []
        for address in self._servers.split(","):
            try:
                answers.append(_leave_group(address, group, instance))
            except OSError:
                answers.append(-1)
        return 0 in answers

    def create_topic(
        self, name: str, partitions: int, replication: int, config: Mapping[str, str]
    ) -> None:
        """Create a topic, and wait until it exists."""
        new = NewTopic(name, partitions, replication, config=dict(config))
        self.client.create_topics([new], operation_timeout=_ANSWER_S)[name].result()

    def delete_topic(self, name: str) -> None:
        """Delete a topic, and wait until it is gone."""
        self.client.delete_topics([name], operation_timeout=_ANSWER_S)[name].result()

    def configure(self, topic: str, name: str, value: str) -> None:
        """Change one configuration value of a topic."""
        entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        (future,) = self.client.incremental_alter_configs(
            [resource], request_timeout=_ANSWER_S
        ).values()
        future.result()

    def setting(self, topic: str, name: str) -> str:
        """Get one configuration value of a topic."""
        resource = ConfigResource(ResourceType.TOPIC, topic)
        (future,) = self.client.describe_configs([resource], request_timeout=_ANSWER_S).values()
        entries: dict[str, Any] = future.result()
        return str(entries[name].value)

    def deny_writing(self, topic: str) -> None:
        """Deny everybody to write to a topic; all other operations stay allowed."""
        for future in self.client.create_acls(
            [
                _acl(AclBinding, topic, AclOperation.ALL, AclPermissionType.ALLOW),
                _acl(AclBinding, topic, AclOperation.WRITE, AclPermissionType.DENY),
            ]
        ).values():
            future.result()

    def allow_writing(self, topic: str) -> None:
        """Allow everybody to write to a topic again."""
        denied = _acl(AclBindingFilter, topic, AclOperation.WRITE, AclPermissionType.DENY)
        for future in self.client.delete_acls([denied]).values():
            future.result()


def _acl(kind: Any, topic: str, operation: AclOperation, permission: AclPermissionType) -> Any:
    where = (ResourceType.TOPIC, topic, ResourcePatternType.LITERAL)
    return kind(*where, _EVERYBODY, "*", operation, permission)


def _leave_group(address: str, group: str, instance: str) -> int:
    """Send LeaveGroup as Kafka's tools do to remove a static member; returns the error code."""
    request = struct.pack(">hhih", _LEAVE_GROUP, _LEAVE_GROUP_VERSION, 1, -1)
    request += _text(group) + struct.pack(">i", 1) + _text("") + _text(instance)
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), _ANSWER_S) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        stream = connection.makefile("rb")
        (length,) = struct.unpack(">i", stream.read(4))
        answer = stream.read(length)
    _correlation, _throttled, error = struct.unpack_from(">iih", answer)
    # The member's own error code is the last thing in the answer.
    return int(error) or int.from_bytes(answer[-2:], "big", signed=True)


def _text(value: str) -> bytes:
    return struct.pack(">h", len(value)) + value.encode()


def internal_partition(name: str, partitions: int) -> int:
    """Partition of `__consumer_offsets` or `__transaction_state` that a name belongs to."""
    value = 0
    for character in name:
        value = (31 * value + ord(character)) & 0xFFFFFFFF
    return (value & 0x7FFFFFFF) % partitions
