"""What it means when the next position is not, or no longer, in the topic."""

from __future__ import annotations

import logging
from typing import Final

from confluent_kafka import TopicPartition

from pipeline.errors import DataLossError, OutcomeUnknownError

_LOG: Final = logging.getLogger(__name__)


def deleted_unread(
    place: TopicPartition, wanted: int, low: int, high: int, *, continues: bool
) -> int:
    """Return how many offsets from `wanted` on were deleted before they were read.

    `low` and `high` are the first remaining offset and the end of the partition. Nobody can tell
    any more whether the deleted offsets held records: transaction markers and aborted records have
    offsets too. A worker commits the position behind them as soon as it reaches the end of the
    partition, so `wanted` lies before some only if the worker was stopped or killed just before
    that. They count as lost: DataLossError, unless `continues` accepts it. OutcomeUnknownError when
    nothing is missing.
    """
    name = f"{place.topic}/{place.partition}"
    what = f"{name}: offset {wanted} does not exist, the topic has {low} to {high}"
    if wanted > high:
        raise DataLossError(
            f"{what}: it was truncated, or deleted and created again. Choose where to resume: "
            "reset the group's offsets with kafka-consumer-groups --reset-offsets, then restart"
        )
    if wanted >= low:
        raise OutcomeUnknownError(f"{name}: offset {wanted} was not served")
    if not continues:
        raise DataLossError(
            f"{what}: offsets {wanted} to {low - 1} were deleted before they were read "
            "(retention), and whether they held records can't be determined any more. Set "
            "on_data_loss=continue to go on without them"
        )
    _LOG.error("data lost, continuing: %s", what)
    return low - wanted
