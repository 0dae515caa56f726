"""The rights that the worker and the commands need: what the tests grant, and the texts list."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from confluent_kafka.admin._acl import AclOperation
from confluent_kafka.admin._resource import ResourceType

from pipeline.topics import TopicNames
from tests.kafka.secure import Grant

TOPIC: Final = "topic"
GROUP: Final = "group"
TRANSACTIONAL_ID: Final = "transactional id"
_WORDS: Final = {
    "raw": "raw",
    "enriched": "enriched",
    "dead_letter": "dead-letter",
    "identify": "identify, with `identify` rules only",
    "other": 'other, with `on_other_type = "forward"` only',
    GROUP: "the setting `group`",
    TRANSACTIONAL_ID: "prefix `<transactional_id_prefix>.<group>.`, not with `at-least-once`",
}


class Right(NamedTuple):
    """One operation on one resource."""

    kind: str
    of: str
    """The role of a topic; else the kind again."""
    operation: str

    def __str__(self) -> str:
        return f"{self.of} {self.operation}"


WORKER: Final = (
    Right(TOPIC, "raw", "READ"),
    Right(TOPIC, "enriched", "WRITE"),
    Right(TOPIC, "dead_letter", "WRITE"),
    Right(TOPIC, "identify", "WRITE"),
    Right(TOPIC, "other", "WRITE"),
    Right(GROUP, GROUP, "READ"),
    Right(TRANSACTIONAL_ID, TRANSACTIONAL_ID, "WRITE"),
)
CREATE: Final = tuple(
    Right(TOPIC, role, operation)
    for role in TopicNames._fields
    for operation in ("CREATE", "DESCRIBE")
)
"""Of `topics create`."""
FIX: Final = tuple(
    Right(TOPIC, role, operation)
    for role in TopicNames._fields
    for operation in ("DESCRIBE", "DESCRIBE_CONFIGS", "ALTER_CONFIGS", "ALTER")
)
"""Permissions that `topics fix` needs."""
AUDIT: Final = (
    *(Right(TOPIC, role, "READ") for role in TopicNames._fields),
    Right(GROUP, GROUP, "DESCRIBE"),
)

STATUS: Final = (
    Right(TOPIC, "raw", "READ"),
    *(Right(TOPIC, role, "DESCRIBE") for role in TopicNames._fields[1:]),
    Right(GROUP, GROUP, "DESCRIBE"),
)
"""Of `status`; without the first it knows no age, and without those of outputs no transactions."""


def grants(rights: Iterable[Right], names: TopicNames, group: str) -> list[Grant]:
    """The ACLs that give the rights."""
    return [_grant(right, names, group) for right in rights]


def _grant(right: Right, names: TopicNames, group: str) -> Grant:
    operation = AclOperation[right.operation]
    if right.kind == TOPIC:
        return Grant(ResourceType.TOPIC, resource(right, names, group), operation)
    if right.kind == GROUP:
        return Grant(ResourceType.GROUP, group, operation)
    return Grant(ResourceType.TRANSACTIONAL_ID, f"track.{group}.", operation, prefixed=True)


def resource(right: Right, names: TopicNames, group: str) -> str:
    """The name of what the right is for, as far as it is known before the worker runs."""
    if right.kind == TOPIC:
        return str(getattr(names, right.of))
    return group if right.kind == GROUP else f"track.{group}."


def table(rights: Iterable[Right] = WORKER) -> str:
    """The rights as a Markdown table, as README.md and docs/how-to/secure-cluster.md have it."""
    rows = [(right.kind, _WORDS[right.of], right.operation) for right in rights]
    lines = [f"| {' | '.join(row)} |\n" for row in [("resource", "name", "operation"), *rows]]
    lines.insert(1, "|---|---|---|\n")
    return "".join(lines)
