"""What the sessions of one slot of a replay need to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipeline.core.record import Record
from pipeline.edges.kafka.config import SessionConfig
from pipeline.ports import Stop


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that works on a replay, and what that took it over for."""

    token: str
    who: str
    since: int
    """Epoch milliseconds."""
    deed: str


@dataclass(frozen=True, slots=True)
class SlotConfig:
    """Of one slot; its group is the replay's own, its transactional id the slot's."""

    session: SessionConfig
    ranges: Mapping[int, tuple[int, int]]
    """Partition → first offset and the one after the last."""
    owner: Owner
    topic_id: str
    """Kafka's id of the raw topic; empty when unknown."""
    means: Callable[[Record], bool] | None
    """Which records are meant; None: all."""
    most: int | None
    """Records that are meant, at most; None: no limit."""
    rate: float | None
    """Events a second, at most."""
    max_invalid_ratio: float
    stop: Stop
    """Ends a pause that keeps the rate."""
