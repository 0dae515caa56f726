"""The output topics → rows in the store, and a count of what is not compared."""

from __future__ import annotations

from typing import Final

from pipeline.core.coordinates import Source, parse_source
from pipeline.core.headers import DlqHeader
from pipeline.core.record import Record, Role
from pipeline.ports import Reader
from pipeline.progress import Gauge, OnProgress
from pipeline.reconcile.audit.match import Standing
from pipeline.reconcile.audit.result import AuditResult, Kind, Offence
from pipeline.reconcile.output_store import Store
from pipeline.reconcile.outputs import Found, Reading, key_hash, print_of, read_output
from pipeline.reconcile.ranges import Plan
from pipeline.reconcile.retention import Cuts
from pipeline.reconcile.revenue import Purse

_ROWS: Final = 1000
_NO_TIME: Final = -1


class Collector:
    """Reads outputs, and puts them where the judge finds them."""

    def __init__(  # noqa: PLR0913  made in one place
        self,
        plan: Plan,
        store: Store,
        result: AuditResult,
        purse: Purse | None,
        *,
        keeps_outside: bool,
        show: int,
    ) -> None:
        self._plan = plan
        self._store = store
        self._result = result
        self._purse = purse
        self._keeps_outside = keeps_outside
        self._show = show
        self._roles = {topic: role for role, topic in plan.topics.items()}
        self._contract = result.contract.encode()
        self._rows: list[Found] = []
        self._outside: list[Found] = []
        self._redriven: list[Found] = []
        self.cuts = Cuts(plan)

    def collect(self, reader: Reader, on_progress: OnProgress | None) -> None:
        """Take every output."""
        ranges = self._plan.output_ranges()
        gauge = Gauge("reading the outputs", ranges, on_progress)
        for record in reader.read(ranges):
            gauge.passed(record)
            self._take(record)
            if len(self._rows) + len(self._redriven) >= _ROWS:
                self._flush()
        self._flush()
        gauge.finished()

    def _flush(self) -> None:
        self._store.add(self._rows)
        self._rows.clear()
        self._store.set_aside(self._outside, Standing.OUTSIDE)
        self._outside.clear()
        self._store.add_redriven(self._redriven)
        self._redriven.clear()

    def _take(self, record: Record) -> None:
        role = self._roles[record.topic]
        reading = read_output(record, role, self._contract)
        if reading.apart:
            self._result.apart[reading.apart] += 1
            self._keep_money(record, role, reading)
            return
        source = parse_source(reading.source)
        if source is None:
            self._without_source(record, role)
            return
        plan = self._plan
        part = None
        if source.topic == plan.raw_topic:
            part = plan.raw.get(source.partition)
            self.cuts.note(record, role, source)
        if part is not None and part.first <= source.offset < part.end:
            self._rows.append(self._row(record, role, reading, source))
        elif source.topic == plan.raw_topic and (part is None or source.offset >= part.last):
            self._invented(record, source.text(), "there is no such raw record")
        else:
            word = "before" if part is not None and source.offset < part.first else "outside"
            self._result.apart[word] += 1
            if self._keeps_outside:
                self._outside.append(self._row(record, role, reading, source))

    def _keep_money(self, record: Record, role: Role, reading: Reading) -> None:
        """The money of a redriven event: no longer held back by its dead letter."""
        if self._purse is None or reading.apart != "redriven":
            return
        source = parse_source(reading.source)
        if role is Role.ENRICHED and source is not None:
            self._redriven.append(self._row(record, role, reading, source))

    def _row(self, record: Record, role: Role, reading: Reading, source: Source) -> Found:
        value, key, headers, timestamp, _topic, partition, offset = record
        if role is Role.DEAD_LETTER or role in self._plan.stamped_by_broker:
            time = 0
        else:
            time = timestamp or _NO_TIME
        made = print_of(role, value, key, headers)
        cash = self._cash(record, role)
        return Found(
            *source, role, partition, offset, made, time, key_hash(key), reading.marks, cash
        )

    def _cash(self, record: Record, role: Role) -> str | None:
        if self._purse is None or role is Role.IDENTIFY:
            return None
        if role is Role.ENRICHED:
            return self._purse.of_enriched(record.value)
        if any(name == DlqHeader.POINTER for name, _ in record.headers):
            return None
        times = (value for name, value in record.headers if name == DlqHeader.SOURCE_TIMESTAMP)
        time = next(times, None) or b""
        return self._purse.of_letter(record.value, int(time) if time.isdigit() else None)

    def _without_source(self, record: Record, role: Role) -> None:
        """An output that names no raw record; a letter may be another program's."""
        ours = any(name == DlqHeader.VERSION for name, _ in record.headers)
        if role is Role.DEAD_LETTER and not ours:
            self._result.apart["foreign"] += 1
            return
        self._invented(record, "", "its header names no raw record")

    def _invented(self, record: Record, source: str, detail: str) -> None:
        money, role = self._result.money, self._roles[record.topic]
        if money is not None:
            money.of(role).add(self._cash(record, role))
        place = f"{record.topic}/{record.partition}/{record.offset}"
        self._result.accuse(Offence(Kind.INVENTED, source, place, detail), self._show)
