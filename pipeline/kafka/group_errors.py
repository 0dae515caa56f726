"""Why a group does not take a worker: what does not mend itself, and what to do about it.

librdkafka tells these as errors among the messages of `consume`, and asks again for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from confluent_kafka import KafkaError

GROUP_REFUSALS: Final[Mapping[int, str]] = {
    KafkaError.INVALID_SESSION_TIMEOUT: (
        'the group does not take this session time-out: set consumer."session.timeout.ms" between '
        "the broker's group.min.session.timeout.ms and group.max.session.timeout.ms (by default "
        "6000 and 1800000)"
    ),
    KafkaError.INCONSISTENT_GROUP_PROTOCOL: (
        "the group has members with another assignment strategy. Workers with an instance_id use "
        "range, those without use cooperative-sticky: give one to all workers of the group or to "
        "none, stop all of them before you change that, and let no other consumer use this group. "
        "One with an instance_id that was stopped is a member until its session ends, or until "
        "`track-pipeline leave`"
    ),
    KafkaError.GROUP_MAX_SIZE_REACHED: (
        "the group is full: run fewer workers, or raise the broker's group.max.size"
    ),
    KafkaError.INVALID_GROUP_ID: "the broker does not take the name of the group: change group",
    KafkaError.UNSUPPORTED_ASSIGNOR: (
        'the broker does not know this assignor: correct consumer."group.remote.assignor"'
    ),
}
