"""What is in the compared topics → rows by raw record, in a temporary file."""

from __future__ import annotations

from collections import Counter
from typing import Final

from pipeline.core.coordinates import Source, parse_source
from pipeline.core.record import Record
from pipeline.ports import Reader
from pipeline.progress import Gauge, OnProgress
from pipeline.reconcile.compare.classify import comparable
from pipeline.reconcile.output_store import Store
from pipeline.reconcile.outputs import OTHER_RULES, REDRIVEN, REPLAYED, Found, read_output
from pipeline.reconcile.ranges import Plan
from pipeline.reconcile.retention import Cuts

_ROWS: Final = 1000
_MARKS: Final = {"replayed": REPLAYED, "redriven": REDRIVEN}


class There:
    """Reads the enriched events and letters that results are held against."""

    def __init__(
        self, plan: Plan, store: Store, contract: str, apart: Counter[str], *, keeps_all: bool
    ) -> None:
        """`keeps_all` also keeps what is outside the window, for copies of its records."""
        self._plan = plan
        self._store = store
        self._contract = contract.encode()
        self._apart = apart
        self._keeps_all = keeps_all
        self._roles = {topic: role for role, topic in plan.topics.items()}
        self._rows: list[Found] = []
        self.cuts = Cuts(plan)

    def collect(self, reader: Reader, on_progress: OnProgress | None) -> None:
        """Read everything."""
        ranges = self._plan.output_ranges()
        gauge = Gauge("reading what is there", ranges, on_progress)
        for record in reader.read(ranges):
            gauge.passed(record)
            self._take(record)
            if len(self._rows) >= _ROWS:
                self._flush()
        self._flush()
        gauge.finished()

    def _flush(self) -> None:
        self._store.add(self._rows)
        self._rows.clear()

    def _take(self, record: Record) -> None:
        role = self._roles[record.topic]
        reading = read_output(record, role, self._contract)
        source = parse_source(reading.source)
        if source is None:
            self._apart["foreign"] += 1
            return
        if not reading.apart:  # which come late by their nature
            self.cuts.note(record, role, source)
        if not self._is_inside(source) and not self._keeps_all:
            self._apart["outside"] += 1
            return
        marks = reading.marks | _MARKS.get(reading.apart, 0)
        self._apart["other_rules"] += bool(marks & OTHER_RULES)
        value, key, headers, _timestamp, _topic, partition, offset = record
        made = comparable(role, value, key, headers)
        self._rows.append(Found(*source, role, partition, offset, made, 0, None, marks))

    def _is_inside(self, source: Source) -> bool:
        part = self._plan.raw.get(source.partition)
        inside = part is not None and part.first <= source.offset < part.end
        return inside and source.topic == self._plan.raw_topic
