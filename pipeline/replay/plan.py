"""What a replay does, fixed before it begins: everything that a later process needs to go on.

The plan is kept in a compacted topic, under the replay's id. How far the replay is stands beside
it: in the offsets of the replay's own group.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import msgspec

from pipeline.core.record import Record, Role
from pipeline.core.time_window import ALL_TIME, Window
from pipeline.core.timestamps import format_time
from pipeline.reconcile.event_filters import EVERY_EVENT, Filters
from pipeline.replay.file_source import Archive

PLANS_TOPIC: Final = "track.replay.plans"
GROUP_PREFIX: Final = "track-replay."
"""A replay commits under no other name: it would overwrite a live group's offsets."""
OF_REPLAY: Final = ".replay."
"""Between the name of a topic and the id of a replay."""


@dataclass(frozen=True)
class Part:
    """A range of one partition of the raw topic; of files the only one, and lines for offsets."""

    partition: int
    start: int
    end: int
    """The offset after the last one; fixed, whatever comes later."""

    @property
    def offsets(self) -> int:
        """How many there are; not every one needs to have a record."""
        return max(0, self.end - self.start)


@dataclass(frozen=True)
class Target:
    """A topic that is written to."""

    topic: str
    begins: dict[int, int] = field(default_factory=dict)
    """Partition → its end when the replay was made: what it writes comes behind."""


@dataclass(frozen=True)
class Plan:
    """One replay."""

    id: str
    raw_topic: str
    """That is read; empty when files are."""
    raw_topic_id: str
    """Kafka's id of it: a topic created anew has other records at the same offsets."""
    raw_partitions: int
    """That it had when this was planned: what decides where outputs go stays when it grows."""
    parts: tuple[Part, ...]
    outputs: dict[Role, Target]
    contract: str
    """`version;hash`, as in the header `track.contract`."""
    settings: str
    """Hash of all settings that decide what is written."""
    version: str
    """Of the program."""
    created_at: int
    """Epoch milliseconds."""
    created_by: str
    """`user@host`."""
    transactional_id_prefix: str
    slots: int = 1
    """Processes; partition p belongs to slot p modulo slots."""
    window: Window = ALL_TIME
    """Kafka timestamps of the records that are meant."""
    slack_ms: int = 0
    """How far beyond the end of the window is looked for records that are late."""
    filters: Filters = EVERY_EVENT
    rate: float | None = None
    """Most events a second, of all slots together; None: as fast as it goes."""
    most: int | None = None
    """Most records that are meant, of all slots together; None: all."""
    max_invalid_ratio: float = 1.0
    """Share of refused events above which it stops, 0 to 1."""
    breaker: bool = False
    """Whether it also stops when far more is refused than before in the same replay."""
    only: tuple[str, ...] = ()
    """Of a correction run: which results are written, as `replay.verdict.Kind` names them."""
    compared: dict[Role, str] = field(default_factory=dict)
    """Of a correction run: the topics that results are held against."""
    archive: Archive | None = None
    """Files that are read instead of the raw topic."""
    kept: dict[str, Any] | None = None
    """The settings that decide what is written, by name; None: of an older plan."""

    @property
    def group(self) -> str:
        """The consumer group that keeps its offsets."""
        return GROUP_PREFIX + self.id

    @property
    def progress_topic(self) -> str:
        """Beside whose partitions it is committed how far the replay is.

        Files have none. The group of a replay is its own, so that any topic will do that every
        replay needs.
        """
        return self.raw_topic if self.archive is None else PLANS_TOPIC

    @property
    def source(self) -> str:
        """What is read, for people."""
        return self.raw_topic if self.archive is None else self.archive.title

    @property
    def unit(self) -> str:
        """What is counted to tell how far it is."""
        return "offsets" if self.archive is None else "lines"

    @property
    def offsets(self) -> int:
        """Of all partitions; of files their lines."""
        return sum(part.offsets for part in self.parts)

    def transactional_id(self, slot: int) -> str:
        """Of one slot: whoever opens it last is the only one who can write."""
        return f"{self.transactional_id_prefix}.replay.{self.id}.{slot}"

    def of_slot(self, slot: int) -> tuple[Part, ...]:
        """The ranges that belong to a slot."""
        return tuple(part for part in self.parts if part.partition % self.slots == slot)

    def means(self) -> Callable[[Record], bool] | None:
        """Tells which records are meant; None when all are, which costs nothing."""
        window, filters = self.window, self.filters
        if not window.is_bounded:
            return None if filters.is_empty else filters.selects
        return lambda record: window.holds(record.timestamp) and filters.selects(record)

    def most_of(self, slot: int) -> int | None:
        """Most records of one slot: its share, since slots do not know of each other's count."""
        if self.most is None:
            return None
        share, more = divmod(self.most, self.slots)
        return share + (slot < more)

    def plain(self) -> dict[str, Any]:
        """All of it as JSON values for people and their programs."""
        window = self.window
        return {
            "id": self.id,
            "raw_topic": self.raw_topic or None,
            "files": [file.plain() for file in self.archive.files] if self.archive else [],
            "group": self.group,
            "window": {"from": _time(window.start), "to": _time(window.end)},
            "slack_s": self.slack_ms / 1000,
            "filters": self.filters.to_dict(),
            "outputs": {role.value: target.topic for role, target in self.outputs.items()},
            "workers": self.slots,
            "rate": self.rate,
            "max": self.most,
            "max_invalid_ratio": self.max_invalid_ratio,
            "breaker": self.breaker,
            "only": list(self.only),
            "compared": {role.value: topic for role, topic in self.compared.items()},
            "contract": self.contract,
            "version": self.version,
            "created_at": format_time(self.created_at),
            "created_by": self.created_by,
        }


class State(StrEnum):
    """What is known of a replay besides its offsets."""

    PLANNED = "planned"
    """Written down; its start offsets need not be committed yet."""
    STARTED = "started"
    """Its start offsets are committed."""
    CANCELLED = "cancelled"
    FINISHED = "finished"


@dataclass(frozen=True)
class PlanRecord:
    """A value of the topic of plans; the key is the replay's id."""

    plan: Plan
    state: State
    at: int
    """When it got into this state, epoch milliseconds."""
    by: str
    """Who brought it there, `user@host`."""

    def encode(self) -> bytes:
        """As JSON."""
        return msgspec.json.encode(self)


def read_plan(value: bytes | None) -> PlanRecord | None:
    """A plan that was written down; None for anything else, such as one of a later version."""
    try:
        return msgspec.json.decode(value or b"", type=PlanRecord)
    except (msgspec.MsgspecError, ValueError):
        return None


def _time(moment: int | None) -> str | None:
    return None if moment is None else format_time(moment)
