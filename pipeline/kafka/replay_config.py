"""Configuration of the sessions of one replay slot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from pipeline.core.record import Record
from pipeline.kafka.session_config import SessionConfig
from pipeline.ports import Stop


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that runs a replay, and why it took the replay over."""

    token: str
    who: str
    since: int
    """When it took the replay over, in epoch milliseconds."""
    action: str


class ReplaySource(Protocol):
    """Reads a replay's input. Positions belong to partitions of the session's raw topic."""

    reached: dict[int, int]
    """Next positions by partition. Everything before was collected or left out."""
    left_out: int
    """Number of records read since `start` that the replay does not select."""

    @property
    def is_done(self) -> bool:
        """Whether everything was read."""

    def start(self, positions: Mapping[int, int]) -> None:
        """Read from these positions, and forget what was read before."""

    def collect(self, max_records: int) -> list[Record]:
        """Read until `max_records` records are selected, or the batch is full by bytes or time."""


@dataclass(frozen=True, slots=True)
class SlotConfig:
    """Configuration of one slot. Its group is the replay's, its transactional id the slot's."""

    session: SessionConfig
    ranges: Mapping[int, tuple[int, int]]
    """First offset and the one after the last, by partition."""
    owner: Owner
    topic_id: str
    """Kafka's id of the raw topic; empty when unknown."""
    selects: Callable[[Record], bool] | None
    """Says which records to replay; None selects all."""
    max_records: int | None
    """Maximum number of selected records; None means no limit."""
    rate: float | None
    """Maximum number of events per second; None means no limit."""
    max_invalid_ratio: float
    """Share of rejected events above which the replay stops, 0 to 1."""
    is_only: bool
    """Whether this is the only slot. With several, none knows the share of all of them."""
    stop: Stop
    """Request to stop, which ends a wait for the rate."""
    make_source: Callable[[], ReplaySource] | None = None
    """Creates a source other than the raw topic."""
