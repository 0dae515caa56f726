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
from pipeline.reconcile.event_filters import EVERY_EVENT, Filters, selection
from pipeline.replay.file_source import Archive
from pipeline.topics import PLANS_TOPIC, REPLAY_INFIX

GROUP_PREFIX: Final = "track-replay."
"""A replay commits under no other name: it would overwrite a live group's offsets."""


@dataclass(frozen=True)
class Part:
    """A range of offsets in one partition of the raw topic. Files have one, which counts lines."""

    partition: int
    start: int
    end: int
    """The offset after the last one; records that arrive later are not part of the replay."""

    @property
    def offsets(self) -> int:
        """The number of offsets in the range; some of them may have no record."""
        return max(0, self.end - self.start)


@dataclass(frozen=True)
class Target:
    """An output topic."""

    topic: str
    begins: dict[int, int] = field(default_factory=dict)
    """Partition → its end when the replay was made: outputs of the replay come behind it."""


@dataclass(frozen=True)
class ReplayPlan:
    """One replay. The names of the fields are those of the JSON in the topic of plans."""

    id: str
    raw_topic: str
    """The topic that is read; empty when files are."""
    raw_topic_id: str
    """Kafka's id of the raw topic: one that was created anew has other records at these offsets."""
    raw_partitions: int
    """Number of partitions when the replay was planned. Output partitioning keeps using it when
    the topic grows later."""
    parts: tuple[Part, ...]
    outputs: dict[Role, Target]
    contract: str
    """`version;hash`, as in the header `track.contract`."""
    settings: str
    """Hash of all settings that decide what is written."""
    version: str
    """Version of the program that planned the replay."""
    created_at: int
    """When it was planned, in epoch milliseconds."""
    created_by: str
    """User and host that planned it, `user@host`."""
    transactional_id_prefix: str
    slots: int = 1
    """Number of processes; partition p belongs to slot p modulo slots."""
    window: Window = ALL_TIME
    """Kafka timestamps of the selected records."""
    slack_ms: int = 0
    """How far beyond the end of the window late records are looked for, in milliseconds."""
    filters: Filters = EVERY_EVENT
    rate: float | None = None
    """Maximum number of events per second, all slots together; None is as fast as possible."""
    most: int | None = None
    """Maximum number of selected records, all slots together; None is no limit."""
    max_invalid_ratio: float = 1.0
    """Share of invalid events, 0 to 1, above which the replay stops."""
    breaker: bool = False
    """Whether it also stops when that share rises far above what was usual in this replay."""
    only: tuple[str, ...] = ()
    """Differences that a correction run writes, as `DifferenceKind` names them; empty
    writes every result."""
    compared: dict[Role, str] = field(default_factory=dict)
    """The topics that a correction run compares its results with."""
    archive: Archive | None = None
    """Files that are read instead of the raw topic."""
    kept: dict[str, Any] | None = None
    """The settings that decide what is written, by name; None in plans of older versions."""

    @property
    def group(self) -> str:
        """The consumer group that keeps the replay's offsets."""
        return GROUP_PREFIX + self.id

    @property
    def progress_topic(self) -> str:
        """The topic whose partitions the committed offsets belong to.

        Files have none. The group of a replay is its own, so any topic will do that every replay
        needs.
        """
        return self.raw_topic if self.archive is None else PLANS_TOPIC

    @property
    def source(self) -> str:
        """The topic or the files that are read, for people."""
        return self.raw_topic if self.archive is None else self.archive.title

    @property
    def unit(self) -> str:
        """The unit of its progress."""
        return "offsets" if self.archive is None else "lines"

    @property
    def offsets(self) -> int:
        """The number of offsets in all partitions, or of lines in all files."""
        return sum(part.offsets for part in self.parts)

    @property
    def partitions(self) -> tuple[int, ...]:
        """The numbers of the partitions that are read."""
        return tuple(part.partition for part in self.parts)

    @property
    def own_topics(self) -> tuple[str, ...]:
        """The outputs that belong to this replay alone, which their names say."""
        topics = (target.topic for target in self.outputs.values())
        return tuple(topic for topic in topics if topic.endswith(REPLAY_INFIX + self.id))

    def transactional_id(self, slot: int) -> str:
        """The transactional id of a slot: the last process that opened it is the only writer."""
        return f"{self.transactional_id_prefix}.replay.{self.id}.{slot}"

    def of_slot(self, slot: int) -> tuple[Part, ...]:
        """The ranges that belong to a slot."""
        return tuple(part for part in self.parts if part.partition % self.slots == slot)

    def selects(self, text: Callable[[Record], bytes | None]) -> Callable[[Record], bool] | None:
        """Return the test for selected records; see `event_filters.selection`."""
        return selection(self.window, self.filters, text)

    def most_of(self, slot: int) -> int | None:
        """A slot's share of `most`, since slots do not know of each other's count."""
        if self.most is None:
            return None
        share, more = divmod(self.most, self.slots)
        return share + (slot < more)

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values for people and their programs."""
        window = self.window
        return {
            "id": self.id,
            "raw_topic": self.raw_topic or None,
            "files": [file.to_dict() for file in self.archive.files] if self.archive else [],
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
    """What is written down about a replay besides its offsets."""

    PLANNED = "planned"
    """Written down; its start offsets need not be committed yet."""
    STARTED = "started"
    """Its start offsets are committed."""
    CANCELLED = "cancelled"
    FINISHED = "finished"


@dataclass(frozen=True)
class PlanRecord:
    """A value of the topic of plans; the key is the replay's id."""

    plan: ReplayPlan
    state: State
    at: int
    """When it got into this state, in epoch milliseconds."""
    by: str
    """Who brought it there, `user@host`."""

    def encode(self) -> bytes:
        """Encode it as JSON."""
        return msgspec.json.encode(self)


def read_plan(value: bytes | None) -> PlanRecord | None:
    """Decode a plan; None for anything else, such as a plan of a later version."""
    try:
        return msgspec.json.decode(value or b"", type=PlanRecord)
    except (msgspec.MsgspecError, ValueError):
        return None


def _time(moment: int | None) -> str | None:
    return None if moment is None else format_time(moment)
