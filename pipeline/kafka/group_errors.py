"""Why a group does not accept a worker: errors that don't resolve themselves, with remedies.

librdkafka reports them as errors among the messages of `consume`, and keeps trying forever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from confluent_kafka import KafkaError

GROUP_REFUSALS: Final[Mapping[int, str]] = {
    KafkaError.INVALID_SESSION_TIMEOUT: (
        'the group rejects this session timeout: set consumer."session.timeout.ms" between '
        "the broker's group.min.session.timeout.ms and group.max.session.timeout.ms (by default "
        "6000 and 1800000)"
    ),
    KafkaError.INCONSISTENT_GROUP_PROTOCOL: (
        "the group has members with another assignment strategy. Workers with an instance_id use "
        "range, and those without use cooperative-sticky. Give all workers of the group an "
        "instance_id or none, stop all of them before changing that, and let no other consumer use "
        "this group. A stopped worker with an instance_id remains a member until its session ends, "
        "or until `track-pipeline leave`"
    ),
    KafkaError.GROUP_MAX_SIZE_REACHED: (
        "the group is full: run fewer workers, or raise the broker's group.max.size"
    ),
    KafkaError.INVALID_GROUP_ID: "the broker rejects the name of the group: change group",
    KafkaError.UNSUPPORTED_ASSIGNOR: (
        'the broker does not know this assignor: correct consumer."group.remote.assignor"'
    ),
}
