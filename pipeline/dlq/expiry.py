"""When retention may delete the dead letters of a topic, as far as its settings tell.

A dead letter's Kafka timestamp is the time when it was written, unlike that of an enriched event:
its retention starts with the failure. Kafka deletes whole segments, once their latest record is
older than the retention, so the time told here is the earliest possible one.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from pipeline.ports import TopicFacts
from pipeline.topics import kept_ms

EXPIRY_WARNING_S: Final = 3 * 86_400
"""Default warning time: a weekend and the time to repair."""


class DeadLetterRetention(NamedTuple):
    """How long a topic keeps dead letters."""

    kept_ms: int | None
    """None when there is no limit, or it is not known."""
    notices: tuple[str, ...]
    """Sentences about what makes the time unknown or unreliable."""

    def limit_ms(self, now: int, warning_s: float) -> int | None:
        """Time before which dead letters may be deleted within the warning time."""
        if self.kept_ms is None:
            return None
        return now + int(warning_s * 1000) - self.kept_ms


NO_RETENTION: Final = DeadLetterRetention(None, ())
"""Retention of a topic that has no time limit, or of which none is known."""


def retention_of(topic: TopicFacts) -> DeadLetterRetention:
    """Retention of a dead-letter topic."""
    if not topic.config:
        unknown = (
            f"topic {topic.name}: its settings may not be read, so it is not known when "
            "dead letters are deleted: grant this user DESCRIBE_CONFIGS on the topic"
        )
        return DeadLetterRetention(None, (unknown,))
    policy, kept = topic.config.get("cleanup.policy", "delete"), kept_ms(topic)
    notices = []
    if "compact" in policy:
        notices.append(
            f"topic {topic.name}: cleanup.policy is {policy}, which deletes dead letters that have "
            "the key of a later one at any time, and they stay in the numbers here: set it to "
            "delete"
        )
    if "delete" in policy and topic.number("retention.bytes", -1) >= 0:
        size = topic.config["retention.bytes"]
        notices.append(
            f"topic {topic.name}: retention.bytes is {size}, so dead letters may be deleted before "
            "their time: set it to -1"
        )
    return DeadLetterRetention(None if kept < 0 else kept, tuple(notices))
