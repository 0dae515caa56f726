"""What the sessions of one slot of a replay need to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from pipeline.core.record import Record
from pipeline.kafka.session_config import SessionConfig
from pipeline.ports import Stop


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that works on a replay, and what that took it over for."""

    token: str
    who: str
    since: int
    """Epoch milliseconds."""
    deed: str


class ReplaySource(Protocol):
    """The reading half of a session; positions are of partitions of the session's raw topic."""

    reached: dict[int, int]
    """Partition → where to go on; what is before was collected or left out."""
    left_out: int
    """Records that were read and are not meant, since `start`."""

    @property
    def is_done(self) -> bool:
        """Whether everything was read."""

    def start(self, positions: Mapping[int, int]) -> None:
        """Read from these positions; what was read before is forgotten."""

    def collect(self, max_records: int) -> list[Record]:
        """Read until there are so many meant records, or the batch is full by bytes or time."""


@dataclass(frozen=True, slots=True)
class SlotConfig:
    """Of one slot; its group is the replay's own, its transactional id the slot's."""

    session: SessionConfig
    ranges: Mapping[int, tuple[int, int]]
    """Partition → first offset and the one after the last."""
    owner: Owner
    topic_id: str
    """Kafka's id of the raw topic; empty when unknown."""
    selects: Callable[[Record], bool] | None
    """Which records are meant; None: all."""
    max_records: int | None
    """Records that are meant, at most; None: no limit."""
    rate: float | None
    """Events a second, at most."""
    max_invalid_ratio: float
    is_only: bool
    """Whether there are no others: of several, none knows the share of all of them."""
    stop: Stop
    """Ends a pause that keeps the rate."""
    make_source: Callable[[], ReplaySource] | None = None
    """Reads something else than the raw topic."""
