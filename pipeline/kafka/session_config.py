"""Configuration of a session. wiring.py derives it from the settings and the topics as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.core.record import Role
from pipeline.kafka.client_statistics import ReportedStatistics
from pipeline.kafka.clients import LibrdkafkaConfig
from pipeline.kafka.partitioner import PartitionMap


@dataclass(frozen=True, slots=True)
class CollectLimits:
    """A batch is full when it reaches one of these limits."""

    max_records: int
    max_bytes: int
    linger_s: float


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """Configuration of one session; times are in seconds."""

    # Their values may be secret, and an object's repr may end up anywhere.
    shared: LibrdkafkaConfig = field(repr=False)
    consumer: Mapping[str, Any] = field(repr=False)
    producer: Mapping[str, Any] = field(repr=False)
    group: str
    raw_topic: str
    """Topic for whose partitions the positions are committed."""
    topics: Mapping[Role, str]
    """Output topic of each role; DROPPED has none."""
    exactly_once: bool
    """Whether to write in transactions. Otherwise outputs are acknowledged before the commit."""
    batch: CollectLimits
    initial_offset: str
    start_over: str | None
    continue_on_data_loss: bool
    transaction_timeout_s: float
    deadline_s: float
    """Time limit of one commit, below the timeouts of the transaction and of the group."""
    startup_timeout_s: float
    partition_map: Callable[[int], PartitionMap] | None = None
    """Creates the map to an output topic of so many partitions; None maps from the raw topic's."""
    statistics: ReportedStatistics | None = None
    """Receiver of the clients' statistics; None asks them for none."""
