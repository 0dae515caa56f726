"""A dead-letter topic and its ledger in memory, as the follower of the backlog sees them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pipeline.core.record import Record
from pipeline.dlq.ledger import Action, Entry
from pipeline.errors import TransportError
from pipeline.ports import Ranges, TopicFacts
from pipeline.topics import LEDGER_SUFFIX
from tests.unit.dlq.dead_letters import NOW, TOPIC, dead_letter_of, event

LEDGER = TOPIC + LEDGER_SUFFIX
DAY_MS = 86_400_000
KEPT_DAYS = 14
READ_IT = frozenset({"READ"})


class MemoryTopics:
    """Both topics; it answers what `Admin` and a range reader answer."""

    def __init__(self) -> None:
        retention = {"cleanup.policy": "delete", "retention.ms": str(KEPT_DAYS * DAY_MS)}
        self.facts = {TOPIC: TopicFacts(TOPIC, 1, 1, retention, READ_IT, "id-1")}
        self.records: dict[tuple[str, int], list[Record]] = {(TOPIC, 0): []}
        self.begins: dict[tuple[str, int], int] = {}
        self.gap = 0
        """Number of offsets without a record at the end of each partition of dead letters."""
        self.read_records = 0
        self.fails_after: int | None = None
        """Number of records after which reading fails once."""

    def now(self) -> int:
        """Time of the clock: that of the dead letters."""
        return NOW

    def monotonic(self) -> float:
        """The same moment in seconds."""
        return self.now() / 1000

    def topics(self, names: Iterable[str]) -> dict[str, TopicFacts]:
        """Facts of the existing topics."""
        return {name: self.facts[name] for name in names if name in self.facts}

    def extents(self, topic: str, *, stable: bool = False) -> dict[int, tuple[int, int]]:
        """First offset and end of each partition."""
        assert stable, "an open transaction must not be waited for"
        gap = self.gap if topic == TOPIC else 0
        extents = {}
        for (name, number), found in self.records.items():
            if name == topic:
                begin = self.begins.get((name, number), 0)
                extents[number] = begin, found[-1].offset + 1 + gap if found else begin
        return extents

    def read(self, ranges: Ranges) -> Iterator[Record]:
        """The records of each range."""
        for place, (first, end) in ranges.items():
            assert first >= self.begins.get(place, 0)
            for record in self.records[place]:
                if first <= record.offset < end:
                    if self.fails_after == 0:
                        self.fails_after = None
                        raise TransportError("the connection broke")
                    if self.fails_after is not None:
                        self.fails_after -= 1
                    self.read_records += 1
                    yield record

    def change(self, **config: str) -> None:
        """Change the settings of the dead-letter topic."""
        facts = self.facts[TOPIC]
        self.facts[TOPIC] = facts._replace(config={**facts.config, **config})

    def fail(
        self, *offsets: int, partition: int = 0, age_days: float = 0, **properties: Any
    ) -> None:
        """Write dead letters of `no_user_anon_id` with these properties."""
        record = dead_letter_of(event(userId=None, properties=properties)).record
        time = NOW - int(age_days * DAY_MS)
        self.records.setdefault((TOPIC, partition), []).extend(
            record._replace(partition=partition, offset=offset, timestamp=time)
            for offset in offsets
        )

    def note(self, action: Action, offset: int, partition: int = 0, topic_id: str = "id-1") -> None:
        """Write an entry into the ledger, which is created when it does not exist."""
        self.facts.setdefault(LEDGER, TopicFacts(LEDGER, 1, 1, {}, READ_IT, "ledger-1"))
        entry = Entry(topic_id, partition, offset, action, "raw/0/1", 1, "me", 1, "x", "enriched")
        found = self.records.setdefault((LEDGER, 0), [])
        found.append(Record(entry.value(), entry.key(), (), 1, LEDGER, 0, len(found)))

    def delete_before(self, offset: int, partition: int = 0) -> None:
        """Delete dead letters as retention does."""
        place = TOPIC, partition
        self.begins[place] = offset
        self.records[place] = [each for each in self.records[place] if each.offset >= offset]
