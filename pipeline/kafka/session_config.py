"""What a session needs to know; wiring.py makes it of the settings and the topics as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.core.record import Role
from pipeline.kafka.clients import LibrdkafkaConfig
from pipeline.kafka.partitioner import PartitionMap


@dataclass(frozen=True, slots=True)
class CollectLimits:
    """A batch is full at the first of these."""

    max_records: int
    max_bytes: int
    linger_s: float


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """Of one session; times in seconds."""

    # Their values may be secret, and the text of an object ends up anywhere.
    shared: LibrdkafkaConfig = field(repr=False)
    consumer: Mapping[str, Any] = field(repr=False)
    producer: Mapping[str, Any] = field(repr=False)
    group: str
    raw_topic: str
    """Beside whose partitions the positions are committed."""
    topics: Mapping[Role, str]
    """Where each role is written; DROPPED has none."""
    exactly_once: bool
    """In transactions; else every output is acknowledged before the offsets are committed."""
    batch: CollectLimits
    initial_offset: str
    start_over: str | None
    continue_on_data_loss: bool
    transaction_timeout_s: float
    deadline_s: float
    """For one commit, below the transaction's and the group's own time-outs."""
    startup_timeout_s: float
    partition_map: Callable[[int], PartitionMap] | None = None
    """For an output of so many partitions; None: from as many as the raw topic has now."""
