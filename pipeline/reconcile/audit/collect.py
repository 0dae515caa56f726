"""Reads the output topics into the store, and counts what is not compared."""

from __future__ import annotations

from typing import Final

from pipeline.core.coordinates import Source, parse_source
from pipeline.core.headers import DlqHeader
from pipeline.core.record import Record, Role
from pipeline.errors import UnreadableOutputError
from pipeline.ports import Reader
from pipeline.progress import Gauge, OnProgress
from pipeline.reconcile.audit.forms import ComparedForms
from pipeline.reconcile.audit.match import UnmatchedKind
from pipeline.reconcile.audit.result import AuditResult, Discrepancy, DiscrepancyKind
from pipeline.reconcile.output_store import OutputStore
from pipeline.reconcile.outputs import OutputFacts, OutputRow, key_hash, read_output
from pipeline.reconcile.ranges import AuditRanges
from pipeline.reconcile.retention import RetentionGaps
from pipeline.reconcile.revenue_reader import UNREADABLE, RevenueReader

_ROWS: Final = 1000
_NO_TIME: Final = -1


class OutputCollector:
    """Reads all outputs and sorts them into the store by their raw records."""

    def __init__(  # noqa: PLR0913  made in one place
        self,
        ranges: AuditRanges,
        store: OutputStore,
        result: AuditResult,
        revenue_reader: RevenueReader | None,
        forms: ComparedForms,
        *,
        keeps_outside: bool,
        show: int,
    ) -> None:
        """Prepare to read; `keeps_outside` also stores the outputs of records that are copied."""
        self._ranges = ranges
        self._store = store
        self._result = result
        self._revenue_reader = revenue_reader
        self._forms = forms
        self._keeps_outside = keeps_outside
        self._show = show
        self._roles = {topic: role for role, topic in ranges.topics.items()}
        self._contract = result.contract.encode()
        self._rows: list[OutputRow] = []
        self._outside: list[OutputRow] = []
        self._redriven: list[OutputRow] = []
        self.gaps = RetentionGaps(ranges)

    def collect(self, reader: Reader, on_progress: OnProgress | None) -> None:
        """Read every output."""
        offsets = self._ranges.output_ranges()
        gauge = Gauge("reading the outputs", offsets, on_progress)
        for record in reader.read(offsets):
            gauge.passed(record)
            self._add(record)
            if len(self._rows) + len(self._redriven) >= _ROWS:
                self._flush()
        self._flush()
        gauge.finished()

    def _flush(self) -> None:
        self._store.add(self._rows)
        self._rows.clear()
        self._store.add_unmatched(self._outside, UnmatchedKind.OUTSIDE)
        self._outside.clear()
        self._store.add_redriven(self._redriven)
        self._redriven.clear()

    def _add(self, record: Record) -> None:
        role = self._roles[record.topic]
        facts = read_output(record, role, self._contract)
        if facts.excluded:
            self._result.excluded[facts.excluded] += 1
            self._add_redriven(record, role, facts)
            return
        source = parse_source(facts.source)
        if source is None:
            self._add_without_source(record, role)
            return
        ranges = self._ranges
        part = None
        if source.topic == ranges.raw_topic:
            part = ranges.raw.get(source.partition)
            self.gaps.note(record, role, source)
        if part is not None and part.first <= source.offset < part.end:
            self._rows.append(self._row(record, role, facts, source))
        elif source.topic == ranges.raw_topic and (part is None or source.offset >= part.last):
            self._report_orphan(record, source.text(), "there is no such raw record")
        else:
            word = "before" if part is not None and source.offset < part.first else "outside"
            self._result.excluded[word] += 1
            if self._keeps_outside:
                self._outside.append(self._row(record, role, facts, source))

    def _add_redriven(self, record: Record, role: Role, facts: OutputFacts) -> None:
        """Keep the revenue of a redriven event: its dead letter does not block it any more."""
        if self._revenue_reader is None or facts.excluded != "redriven":
            return
        source = parse_source(facts.source)
        if role is Role.ENRICHED and source is not None:
            self._redriven.append(self._row(record, role, facts, source))

    def _row(self, record: Record, role: Role, facts: OutputFacts, source: Source) -> OutputRow:
        _value, key, _headers, timestamp, _topic, partition, offset = record
        if role is Role.DEAD_LETTER or role in self._ranges.stamped_by_broker:
            time = 0
        else:
            time = timestamp or _NO_TIME
        digest = self._forms.digest_of(record, role, facts.marks)
        revenue = self._revenue(record, role)
        return OutputRow(
            *source, role, partition, offset, digest, time, key_hash(key), facts.marks, revenue
        )

    def _revenue(self, record: Record, role: Role) -> str | None:
        if self._revenue_reader is None or role in {Role.IDENTIFY, Role.OTHER}:
            return None
        if role is Role.ENRICHED:
            try:
                return self._revenue_reader.of_enriched(self._forms.json_of(record))
            except UnreadableOutputError:
                return UNREADABLE
        if any(name == DlqHeader.POINTER for name, _ in record.headers):
            return None
        times = (value for name, value in record.headers if name == DlqHeader.SOURCE_TIMESTAMP)
        time = next(times, None) or b""
        timestamp = int(time) if time.isdigit() else None
        return self._revenue_reader.of_dead_letter(record.value, timestamp, record.headers)

    def _add_without_source(self, record: Record, role: Role) -> None:
        """Report an output that names no raw record; count a dead letter of another program."""
        ours = any(name == DlqHeader.VERSION for name, _ in record.headers)
        if role is Role.DEAD_LETTER and not ours:
            self._result.excluded["foreign"] += 1
            return
        self._report_orphan(record, "", "its header names no raw record")

    def _report_orphan(self, record: Record, source: str, detail: str) -> None:
        balance, role = self._result.revenue, self._roles[record.topic]
        if balance is not None:
            balance.sums(role).add(self._revenue(record, role))
        output = f"{record.topic}/{record.partition}/{record.offset}"
        orphan = Discrepancy(DiscrepancyKind.ORPHANED, source, output, detail)
        self._result.report(orphan, self._show)
