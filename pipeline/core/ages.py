"""How long ago a record was written, and when retention may delete it, by the record's timestamp.

Clocks jump, and senders choose timestamps: an age is never negative.
"""

from __future__ import annotations


def age_s(timestamp_ms: int, now_ms: int) -> float:
    """Age of a record, seconds; 0 for one whose timestamp is in the future."""
    return max(0.0, (now_ms - timestamp_ms) / 1000)


def retention_left_s(timestamp_ms: int, retention_ms: int | None, now_ms: int) -> float | None:
    """Seconds until retention may delete a record; 0 when it may now, None when it never does.

    Kafka deletes whole segments, by their latest timestamp, so the record may stay for longer.
    """
    if retention_ms is None:
        return None
    return max(0.0, (timestamp_ms + retention_ms - now_ms) / 1000)
