"""The name of every Kafka header that this program writes or believes: its wire contract.

Nothing else spells these names. Headers of dead letters that other programs wrote are a table of
their own (`pipeline/dlq/header_formats`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class TrackHeader(StrEnum):
    """Headers of enriched events, identify messages and redriven raw records."""

    SOURCE = "track.source"
    """Coordinates of the raw event, `topic/partition/offset[/index]`."""
    CONTRACT = "track.contract"
    """Version and hash of the rules that made the output; dead letters have it, too."""
    REPLAY = "track.replay"
    """Id of the replay that wrote the output."""
    REPLACES = "track.replaces"
    """Coordinates of the enriched record that a correction replaces, `topic/partition/offset`."""
    REDRIVE = "track.redrive"
    """Id of the redrive that wrote the record."""
    REDRIVE_DEAD_LETTER = "track.redrive.letter"
    """Coordinates of the dead letter that was redriven."""
    ORIGIN = "track.origin"
    """Coordinates of the first raw event, which a redriven record keeps."""
    ORIGIN_TIMESTAMP = "track.origin.timestamp"
    """Kafka timestamp of the first raw record, epoch milliseconds."""
    TRACE_PARENT = "track.traceparent"
    """Trace context of the transaction that wrote the output, in W3C's form."""
    UNREADABLE = "track.headers"
    """Stands for all headers of a record when a name among them is not UTF-8."""


class DlqHeader(StrEnum):
    """Headers of dead letters (contract §6)."""

    VERSION = "dlq.version"
    REASON = "dlq.reason"
    REASONS = "dlq.reasons"
    STAGE = "dlq.stage"
    SOURCE = "dlq.source"
    SOURCE_TIMESTAMP = "dlq.source.timestamp"
    FAILED_AT = "dlq.failed.at"
    FIRST_FAILED_AT = "dlq.first.failed.at"
    ATTEMPT = "dlq.attempt"
    REPLAY = "dlq.replay"
    GROUP = "dlq.group"
    APP = "dlq.app"
    EVENT = "dlq.event"
    MESSAGE_ID = "dlq.message.id"
    LIBRARY = "dlq.library"
    POINTER = "dlq.pointer"


VALUE_SCHEMA_ID: Final = "__value_schema_id"
"""Confluent's header with the schema's GUID: a version byte (`01`) and 16 bytes."""
OUR_PREFIXES: Final = ("track.", "dlq.")
"""Names with these prefixes are ours: removed from raw records, whoever wrote them."""
CONNECT_PREFIX: Final = "__connect.errors."
"""Prefix of the headers of Kafka Connect's dead letters, which Kafka UIs read."""
