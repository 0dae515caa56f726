"""What an operator can do to a cluster and to a group: rights, limits, offsets, members."""

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

from tests.system.chaos.quiet import QUIET

_ANSWER_S: Final = 5.0
_PATIENCE_S: Final = 60.0
_AGAIN_S: Final = 0.1
_EVERYBODY: Final = "User:ANONYMOUS"
_LEAVE_GROUP: Final = 13
_LEAVE_GROUP_VERSION: Final = 3
_Answer = TypeVar("_Answer")


class Operator:
    """Calls are made again while the cluster is not itself; each ends within a minute."""

    def __init__(self, servers: str) -> None:
        self._servers = servers
        # Kept to the end: to let one go that still waits for an answer crashes the process.
        self._clients: list[AdminClient] = []
        self._consumers: dict[str, Consumer] = {}
        self._renew()

    def _renew(self) -> None:
        self.client = AdminClient({"bootstrap.servers": self._servers, **QUIET})
        self._clients.append(self.client)

    def failed(self, error: Exception) -> None:
        """A call failed. A client that met a restarted broker may be lost for ever: a new one."""
        timed_out = KafkaError._TIMED_OUT  # noqa: SLF001  the client's own name
        if isinstance(error, KafkaException) and error.args[0].code() == timed_out:
            self._renew()
            self._consumers = {}

    def patiently(self, call: Callable[[], _Answer], what: str) -> _Answer:
        """Until it works; TimeoutError when that takes more than a minute."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return call()
            except (KafkaException, OSError) as error:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{what} took too long: {error}") from error
                self.failed(error)
                time.sleep(_AGAIN_S)

    def partitions(self, topic: str) -> int:
        """How many a topic has."""
        found = self.client.list_topics(topic, timeout=_ANSWER_S).topics[topic]
        if found.error is not None:
            raise KafkaException(found.error)
        return len(found.partitions)

    def ends(self, topic: str, *, committed: bool = True) -> dict[int, int]:
        """Partition → offset behind its last record; `committed` ends before open transactions."""
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        places = {TopicPartition(topic, number): latest for number in range(self.partitions(topic))}
        answers = self.client.list_offsets(places, isolation_level=level, request_timeout=_ANSWER_S)
        return {place.partition: future.result().offset for place, future in answers.items()}

    def begins(self, topic: str) -> dict[int, int]:
        """Partition → the first offset that is left."""
        earliest = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
        places = {
            TopicPartition(topic, number): earliest for number in range(self.partitions(topic))
        }
        answers = self.client.list_offsets(places, request_timeout=_ANSWER_S)
        return {place.partition: future.result().offset for place, future in answers.items()}

    def delete_records(self, topic: str, before: Mapping[int, int]) -> None:
        """Cut each partition's log, as retention does; what is at its offset stays."""
        places = [TopicPartition(topic, number, offset) for number, offset in before.items()]
        for future in self.client.delete_records(places, request_timeout=_ANSWER_S).values():
            future.result()

    def has_open_transactions(self, topic: str) -> bool:
        """Whether a reader of committed records can't read to the end yet."""
        return self.ends(topic) != self.ends(topic, committed=False)

    def offsets(self, group: str, topic: str) -> list[TopicPartition]:
        """What a group has committed, with the notes beside it; -1001 where it has not."""
        places = [TopicPartition(topic, number) for number in range(self.partitions(topic))]
        # By a consumer that does not join: the admin client's call crashes the process when the
        # coordinator is not ready (librdkafka 2.16).
        found = self._consumer(group).committed(places, _ANSWER_S)
        for place in found:
            if place.error is not None:
                raise KafkaException(place.error)
        return found

    def _consumer(self, group: str) -> Consumer:
        if group not in self._consumers:
            config = {"bootstrap.servers": self._servers, "group.id": group, **QUIET}
            self._consumers[group] = Consumer(config)
        return self._consumers[group]

    def set_offsets(self, group: str, places: list[TopicPartition]) -> None:
        """Restore offsets; the group must be empty."""
        asked = ConsumerGroupTopicPartitions(group, places)
        (future,) = self.client.alter_consumer_group_offsets(
            [asked], request_timeout=_ANSWER_S
        ).values()
        for place in future.result().topic_partitions:
            if place.error is not None:
                raise KafkaException(place.error)

    def delete_group(self, group: str) -> None:
        """With all its offsets; the group must be empty."""
        (future,) = self.client.delete_consumer_groups([group], request_timeout=_ANSWER_S).values()
        future.result()

    def evict(self, group: str, instances: Iterable[str]) -> int:
        """Remove static members from a group, whether they live or not; how many there were."""
        return sum(self._evict(group, instance) for instance in instances)

    def _evict(self, group: str, instance: str) -> bool:
        # Only the group's coordinator knows its members; the others refuse.
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
        """Create it, and wait until it is there."""
        new = NewTopic(name, partitions, replication, config=dict(config))
        self.client.create_topics([new], operation_timeout=_ANSWER_S)[name].result()

    def delete_topic(self, name: str) -> None:
        """Delete it, and wait until it is gone."""
        self.client.delete_topics([name], operation_timeout=_ANSWER_S)[name].result()

    def configure(self, topic: str, name: str, value: str) -> None:
        """Change one setting of a topic."""
        entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        (future,) = self.client.incremental_alter_configs(
            [resource], request_timeout=_ANSWER_S
        ).values()
        future.result()

    def setting(self, topic: str, name: str) -> str:
        """One setting of a topic."""
        resource = ConfigResource(ResourceType.TOPIC, topic)
        (future,) = self.client.describe_configs([resource], request_timeout=_ANSWER_S).values()
        entries: dict[str, Any] = future.result()
        return str(entries[name].value)

    def deny_writing(self, topic: str) -> None:
        """Take the right away from everybody; all others stay."""
        for future in self.client.create_acls(
            [
                _acl(AclBinding, topic, AclOperation.ALL, AclPermissionType.ALLOW),
                _acl(AclBinding, topic, AclOperation.WRITE, AclPermissionType.DENY),
            ]
        ).values():
            future.result()

    def allow_writing(self, topic: str) -> None:
        """Give it back."""
        denied = _acl(AclBindingFilter, topic, AclOperation.WRITE, AclPermissionType.DENY)
        for future in self.client.delete_acls([denied]).values():
            future.result()


def _acl(kind: Any, topic: str, operation: AclOperation, permission: AclPermissionType) -> Any:
    where = (ResourceType.TOPIC, topic, ResourcePatternType.LITERAL)
    return kind(*where, _EVERYBODY, "*", operation, permission)


def _leave_group(address: str, group: str, instance: str) -> int:
    """LeaveGroup, as Kafka's own tools send it to remove a static member; its error code."""
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
    """Which partition of `__consumer_offsets` or `__transaction_state` a name belongs to."""
    value = 0
    for character in name:
        value = (31 * value + ord(character)) & 0xFFFFFFFF
    return (value & 0x7FFFFFFF) % partitions
