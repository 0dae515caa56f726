"""Reads the compared topics into the store, sorted by raw record."""

from __future__ import annotations

from collections import Counter
from typing import Final

from pipeline.core.coordinates import Source, parse_source
from pipeline.core.record import Record
from pipeline.ports import Reader
from pipeline.progress import Gauge, OnProgress
from pipeline.reconcile.compare.classify import comparison_digest
from pipeline.reconcile.output_store import OutputStore
from pipeline.reconcile.outputs import OTHER_RULES, REDRIVEN, REPLAYED, OutputRow, read_output
from pipeline.reconcile.ranges import AuditRanges
from pipeline.reconcile.retention import RetentionGaps

_ROWS: Final = 1000
_MARKS: Final = {"replayed": REPLAYED, "redriven": REDRIVEN}


class ExistingOutputs:
    """Reads the enriched events and dead letters that results are compared with."""

    def __init__(
        self,
        ranges: AuditRanges,
        store: OutputStore,
        contract: str,
        excluded: Counter[str],
        *,
        keeps_all: bool,
    ) -> None:
        """Prepare to read; `keeps_all` also stores outputs outside the window, for copies."""
        self._ranges = ranges
        self._store = store
        self._contract = contract.encode()
        self._excluded = excluded
        self._keeps_all = keeps_all
        self._roles = {topic: role for role, topic in ranges.topics.items()}
        self._rows: list[OutputRow] = []
        self.gaps = RetentionGaps(ranges)

    def collect(self, reader: Reader, on_progress: OnProgress | None) -> None:
        """Read every output."""
        offsets = self._ranges.output_ranges()
        gauge = Gauge("reading the compared topics", offsets, on_progress)
        for record in reader.read(offsets):
            gauge.passed(record)
            self._add(record)
            if len(self._rows) >= _ROWS:
                self._flush()
        self._flush()
        gauge.finished()

    def _flush(self) -> None:
        self._store.add(self._rows)
        self._rows.clear()

    def _add(self, record: Record) -> None:
        role = self._roles[record.topic]
        facts = read_output(record, role, self._contract)
        source = parse_source(facts.source)
        if source is None:
            self._excluded["foreign"] += 1
            return
        if not facts.excluded:  # replays and redrives write out of order
            self.gaps.note(record, role, source)
        if not self._is_inside(source) and not self._keeps_all:
            self._excluded["outside"] += 1
            return
        marks = facts.marks | _MARKS.get(facts.excluded, 0)
        self._excluded["other_rules"] += bool(marks & OTHER_RULES)
        value, key, headers, _timestamp, _topic, partition, offset = record
        digest = comparison_digest(role, value, key, headers)
        self._rows.append(OutputRow(*source, role, partition, offset, digest, 0, None, marks))

    def _is_inside(self, source: Source) -> bool:
        part = self._ranges.raw.get(source.partition)
        inside = part is not None and part.first <= source.offset < part.end
        return inside and source.topic == self._ranges.raw_topic
