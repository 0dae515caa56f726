"""Reads the dead letters of a topic as it was at one moment.

Guarantees: reading changes nothing. It joins no consumer group and commits no offsets, it ends at
the offsets that the topic had when it was opened, and it skips what an aborted transaction wrote.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Final, NamedTuple

from pipeline.core.formats import PLAIN_JSON, Formats
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.expiry import NO_RETENTION, DeadLetterRetention, retention_of
from pipeline.dlq.filters import EVERYTHING, Selection
from pipeline.dlq.header_formats import reader_of
from pipeline.dlq.ledger import Action, Ledger, read_entry
from pipeline.dlq.ledger_topic import LedgerTopic
from pipeline.dlq.request import DlqRequest, OnNotice, ignore_notice
from pipeline.dlq.values import of_dead_letters
from pipeline.errors import RefusedError, SettingsError
from pipeline.kafka import Admin
from pipeline.ports import Ranges, Reader, TopicFacts
from pipeline.progress import Gauge, OnProgress
from pipeline.settings.groups import Topics
from pipeline.topic_roles import topic_role
from pipeline.topics import LEDGER_SUFFIX, require_permission
from pipeline.wiring import admin, formats, range_reader

Extents = Mapping[int, tuple[int, int]]
"""Partition → first offset, and the offset after the last."""
_REPORT_EVERY: Final = 100
"""Records between two looks at the progress: one for each record would take a tenth of the time."""
_SPAN: Final = 1000
"""Offsets of each partition that are read first when the newest dead letters are looked for."""
_GROWTH: Final = 10


class TopicSnapshot(NamedTuple):
    """Offsets of a dead-letter topic at the moment when it was opened."""

    topic: str
    topic_id: str
    """Kafka's id of the topic."""
    extents: Extents
    starts: Mapping[int, int]
    """Partition → first offset that can match the selection's time of failure."""
    retention: DeadLetterRetention = NO_RETENTION

    def ranges(self, selection: Selection) -> Ranges:
        """Offsets to read for a selection."""
        return {
            (self.topic, number): (max(first, min(end, self.starts.get(number, first))), end)
            for number, (first, end) in self.bounds(selection).items()
        }

    def bounds(self, selection: Selection) -> dict[int, tuple[int, int]]:
        """Partition → offsets that a selection names, as far as they exist."""
        bounds = {}
        for number, (begin, end) in self.extents.items():
            if selection.offsets and number not in selection.offsets:
                continue
            first, last = selection.offsets.get(number, (begin, end))
            first = max(begin, first)
            bounds[number] = first, max(first, min(end, last))
        return bounds


@dataclass
class Coverage:
    """How much an operation has read, and what it left out."""

    read: int = 0
    """Number of dead letters read, whether they match the filters or not."""
    left_out: Counter[Action] = field(default_factory=Counter)
    """Number of matching dead letters that were left out, by what had been done with them."""


class DlqReader:
    """Reads the dead letters that a selection matches.

    Those that were redriven or discarded are left out and counted, unless they are to be included.
    """

    def __init__(  # noqa: PLR0913  made in one place
        self,
        records: Reader,
        snapshot: TopicSnapshot,
        ledger: Ledger,
        selection: Selection = EVERYTHING,
        *,
        include_done: bool = False,
        formats: Formats = PLAIN_JSON,
    ) -> None:
        """See the attributes; `formats` says how values are read."""
        self.snapshot = snapshot
        self.ledger = ledger
        self.coverage = Coverage()
        """What the last reading covered; it grows while dead letters are read."""
        self._records = records
        self._selection = selection
        self._include_done = include_done or ledger.is_empty
        self.formats = formats
        """How the raw records in dead letters are read."""

    def dead_letters(self, on_progress: OnProgress | None = None) -> Iterator[DeadLetter]:
        """All selected dead letters, each partition in order; raises TransportError."""
        self.coverage = Coverage()
        return self._read(self._selection, on_progress)

    def newest(self, count: int, on_progress: OnProgress | None = None) -> list[DeadLetter]:
        """Up to `count` selected dead letters that failed last, the newest at the end.

        They are looked for from the ends of the partitions on: the dead letters of a partition are
        in the order of their failures, so a large topic is not read for a few of them. Raises
        TransportError.
        """
        self.coverage = Coverage()
        best: list[tuple[tuple[int, int, int], DeadLetter]] = []
        found: Counter[int] = Counter()
        span = max(_SPAN, count)
        bounds = self.snapshot.bounds(self._selection)
        left = {number: ends for number, ends in bounds.items() if ends[0] < ends[1]}
        while left:
            pieces = {
                number: (max(first, end - span), end) for number, (first, end) in left.items()
            }
            piece = replace(self._selection, offsets=pieces, limit=None)
            for dead_letter in self._read(piece, on_progress):
                found[dead_letter.partition] += 1
                age = dead_letter.failed_at, dead_letter.partition, dead_letter.offset
                heapq.heappush(best, (age, dead_letter))
                if len(best) > count:
                    heapq.heappop(best)
            left = {
                number: (first, pieces[number][0])
                for number, (first, _) in left.items()
                if first < pieces[number][0] and found[number] < count
            }
            span *= _GROWTH
        return [dead_letter for _, dead_letter in sorted(best, key=itemgetter(0))]

    def _read(self, selection: Selection, on_progress: OnProgress | None) -> Iterator[DeadLetter]:
        coverage, left = self.coverage, selection.limit
        ranges = self.snapshot.ranges(selection)
        gauge = Gauge("reading dead letters", ranges, on_progress)
        has_filters, matches = selection.has_filters, selection.matches
        as_dead_letter = reader_of(self.formats.read)
        include_done, action_of = self._include_done, self.ledger.action
        for record in self._records.read(ranges):
            if coverage.read % _REPORT_EVERY == 0:
                gauge.passed(record)
            coverage.read += 1
            dead_letter = as_dead_letter(record)
            if has_filters and not matches(dead_letter):
                continue
            if not include_done:
                action = action_of(record.partition, record.offset)
                if action is not None:
                    coverage.left_out[action] += 1
                    continue
            yield dead_letter
            if left is not None:
                left -= 1
                if left == 0:
                    return
        gauge.finished()


def open_reader(
    request: DlqRequest, on_notice: OnNotice = ignore_notice, *, only_shows: bool = False
) -> DlqReader:
    """Open the dead-letter topic of a request, as it and its ledger are now.

    With `only_shows`, values whose schema can't be looked up now count as unreadable, which a
    notice says once; otherwise reading them raises TransportError. Raises SettingsError when the
    topic has another role or lacks a requested partition, RefusedError when it does not exist or
    may not be read, and TransportError.
    """
    settings, topic = request.settings, request.dead_letter_topic
    _refuse_other_role(topic, settings.topics)
    cluster, records = admin(settings), range_reader(settings)
    cluster.wait_until_reachable()
    ledger_topic = topic + LEDGER_SUFFIX
    facts = cluster.topics([topic, ledger_topic])
    if topic not in facts:
        raise RefusedError(
            f"topic {topic} does not exist: is the name right (--topic, topics.dead_letter)?"
        )
    require_permission([facts[topic]], "READ")
    ledger = Ledger(facts[topic].id)
    if ledger_topic in facts and not facts[ledger_topic].allows("READ"):
        # Kafka does not tell a topic that may not be read from one that does not exist.
        on_notice(
            f"warning: READ on topic {ledger_topic} is denied, so what was redriven or discarded "
            "can't be told from what is pending"
        )
    elif ledger_topic in facts:
        entries = map(read_entry, LedgerTopic(cluster, records, ledger_topic).news(stable=True))
        for entry in filter(None, entries):
            ledger.add(entry)
    snapshot = _snapshot(cluster, facts[topic], request.selection)
    return DlqReader(
        records,
        snapshot,
        ledger,
        request.selection,
        include_done=request.include_done,
        formats=of_dead_letters(
            formats(settings, writes=False, is_patient=not only_shows),
            on_notice if only_shows else None,
        ),
    )


def _refuse_other_role(topic: str, topics: Topics) -> None:
    role = None if topic == topics.dead_letter else topic_role(topic, topics)
    if role is not None:
        hint = f"dead letters are in {topics.dead_letter}, which is read without --topic"
        raise SettingsError([f"--topic: {topic} is {role}: {hint}"])


def _snapshot(cluster: Admin, facts: TopicFacts, selection: Selection) -> TopicSnapshot:
    topic = facts.name
    extents = cluster.extents(topic, stable=True)
    unknown = sorted(selection.offsets.keys() - extents.keys())
    if unknown:
        numbers = ", ".join(map(str, unknown))
        raise SettingsError([f"{topic} has the partitions 0 to {max(extents)}, but no {numbers}"])
    starts: dict[int, int] = {}
    since = selection.failed.start
    if since is not None:
        found = cluster.offsets_at(topic, since)
        starts = {number: found.get(number, end) for number, (_, end) in extents.items()}
    return TopicSnapshot(topic, facts.id, extents, starts, retention_of(facts))
