"""What it means when the position to go on from is not in the topic (any more)."""

from __future__ import annotations

import logging
from typing import Final

from confluent_kafka import TopicPartition

from pipeline.errors import DataLossError, OutcomeUnknownError

_LOG: Final = logging.getLogger(__name__)


def deleted_unread(
    place: TopicPartition, wanted: int, low: int, high: int, *, continues: bool
) -> int:
    """How many offsets of a partition, from `wanted` on, were deleted before they were read.

    `low` and `high` are the first offset that is left and the end. Whether the deleted offsets held
    records can't be told any more: markers of transactions and aborted records have offsets, too. A
    worker commits the position behind them as soon as it has come to the end of the partition, so
    `wanted` is in front of some only when the worker was stopped or killed a moment before that. So
    they count as lost: DataLossError, unless `continues` accepts it. OutcomeUnknownError when
    nothing is missing.
    """
    name = f"{place.topic}/{place.partition}"
    what = f"{name}: offset {wanted} does not exist, the topic has {low} to {high}"
    if wanted > high:
        raise DataLossError(
            f"{what}: it was truncated or created anew. Where to go on is yours to say: set "
            "the group's offsets with Kafka's kafka-consumer-groups --reset-offsets"
        )
    if wanted >= low:
        raise OutcomeUnknownError(f"{name}: offset {wanted} was not served")
    if not continues:
        raise DataLossError(
            f"{what}: offsets {wanted} to {low - 1} were deleted before they were read "
            "(retention), and whether they held records can't be told any more. Set "
            "on_data_loss=continue to go on without them"
        )
    _LOG.error("data lost, going on: %s", what)
    return low - wanted
