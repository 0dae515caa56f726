"""Results of the rules against what is in the topics, event by event.

First what is there is read, and sorted by the raw records that it names. Then the raw records are
processed beside it, once, and what differs is noted. At last what differs is looked at again, to
say which fields and how much money. Memory stays small: what is sorted and noted is in temporary
files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from pipeline.core.coordinates import NO_ITEM, Source
from pipeline.core.origin import Origin, read_origin
from pipeline.core.process import Processor
from pipeline.core.record import NO_PARTITION, Output, Record, Role
from pipeline.ports import Reader
from pipeline.progress import Gauge, OnProgress
from pipeline.reconcile.compare.classify import Kind, Made, Pair, first_reason, judge, made_of
from pipeline.reconcile.compare.difference_store import Verdict, Verdicts, pack, raw_place
from pipeline.reconcile.compare.dry_run import Rehearsal
from pipeline.reconcile.compare.existing import There
from pipeline.reconcile.compare.field_diff import Changes, Shown
from pipeline.reconcile.compare.report import Report
from pipeline.reconcile.output_store import Rows, Store
from pipeline.reconcile.outputs import REDRIVEN, REPLAYED, Found
from pipeline.reconcile.ranges import Plan, Target
from pipeline.reconcile.revenue import Purse

_BATCH: Final = 500
_PACKED: Final = frozenset({Kind.CHANGED, Kind.NEWLY_INVALID, Kind.REDRIVEN})


@dataclass(frozen=True, slots=True)
class CompareOptions:
    """How to compare; none of it changes the counts."""

    show: int = 3
    """Samples of each kind and reason."""
    reveal: bool = False
    """Whether samples show personal data."""
    dropped_headers: Sequence[str] = ()
    """Patterns of headers that a redrive leaves out."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What results are held against."""

    plan: Plan
    """The raw ranges, and the topics: enriched events, and letters where they are known."""
    target: Target
    committed: dict[int, int] | None = None
    """Raw partition → what the live group has committed: nothing beyond it can be there. None:
    everything is."""
    accept_origin: bool = False
    """Whether raw records may be copies of others (a setting of the contract)."""
    items: Callable[[Record], frozenset[int] | None] = lambda _: None
    """Which items of a record's batch are meant; None: all of it."""


class Comparison:
    """One comparison; `run` makes the report, and leaves the verdicts in their file."""

    def __init__(
        self,
        compared: Compared,
        processor: Processor,
        rehearsal: Rehearsal,
        verdicts: Verdicts,
        options: CompareOptions,
    ) -> None:
        self.report = Report(topics=list(compared.plan.topics.values()))
        self._compared = compared
        self._plan = compared.plan
        self._rehearsal = rehearsal
        self._verdicts = verdicts
        self._options = options
        self._contract = processor.contract
        self._purse = Purse(processor)
        self._pending: list[Verdict] = []

    def run(
        self,
        reader: Reader,
        folder: Path | None = None,
        on_progress: OnProgress | None = None,
        records: Iterable[Record] | None = None,
    ) -> Report:
        """Compare the raw topic of the plan, or these raw records of it, in any order.

        Raises TransportError, and OSError when temporary files can't be written.
        """
        with Store(folder) as store:
            there = There(
                self._plan,
                store,
                self._contract,
                self.report.apart,
                keeps_all=self._compared.accept_origin or records is not None,
            )
            there.collect(reader, on_progress)
            if records is None:
                self._judge_all(reader, store, there, on_progress)
            else:
                self._judge_single(records, store, there)
            self._verdicts.put(self._pending)
            topics = dict(self._plan.topics)
            shown = Shown(self._options.show, self._options.reveal)
            changes = Changes(
                topics, self._verdicts, self.report, shown, self._options.dropped_headers
            )
            changes.look(reader, self._purse, on_progress)
            self._add_results_money()
            changes.sum_up()
            self._verdicts.save()
        return self.report

    def _judge_all(
        self, reader: Reader, store: Store, there: There, on_progress: OnProgress | None
    ) -> None:
        plan, compared = self._plan, self._compared
        rows = {n: Rows(store.of_partition(plan.raw_topic, n)) for n in plan.raw}
        ranges = plan.raw_ranges(to_last=compared.accept_origin)
        gauge = Gauge("processing the raw records", ranges, on_progress)
        window = self._rehearsal.results(self._inside(reader.read(ranges), gauge, store))
        for record, outputs in window:
            self._strays(rows[record.partition].before(record.offset))
            own = rows[record.partition].of(record.offset)
            if outputs is None:
                continue
            origin = read_origin(record, accept_headers=compared.accept_origin)
            if self._is_copy(record, origin):
                # It is judged when the file of what is there is complete, as it is.
                self._copy(record, origin, outputs, store, inside=True)
            elif not self._is_ahead(record):
                self._judge(record, origin, outputs, own, there)
        if not self._rehearsal.is_full():
            gauge.finished()
            for rest in rows.values():
                self._strays(rest.rest())

    def _judge_single(self, records: Iterable[Record], store: Store, there: There) -> None:
        """Not all of the topic: nothing is said of what is there besides."""
        for record, outputs in self._rehearsal.results(records):
            if outputs is None:
                continue
            if record.partition == NO_PARTITION:
                self.report.apart["without_coordinates"] += 1
                continue
            origin = read_origin(record, accept_headers=self._compared.accept_origin)
            if self._is_copy(record, origin):
                self._copy(record, origin, outputs, store, inside=True)
            else:
                own = store.of_source(Source(record.topic, record.partition, record.offset))
                self._judge(record, origin, outputs, own, there)

    def _inside(self, records: Iterable[Record], gauge: Gauge, store: Store) -> Iterator[Record]:
        """The records of the window; those behind it are looked at only as copies."""
        for record in records:
            gauge.passed(record)
            if record.offset < self._plan.raw[record.partition].end:
                yield record
                continue
            origin = read_origin(record, accept_headers=True)
            if self._is_copy(record, origin):
                outputs = self._rehearsal.outputs(record)
                self._copy(record, origin, outputs, store, inside=False)

    def _is_copy(self, record: Record, origin: Origin) -> bool:
        return origin[:4] != (record.topic, record.partition, record.offset, None)

    def _is_ahead(self, record: Record) -> bool:
        committed = self._compared.committed
        is_ahead = committed is not None and record.offset >= committed.get(record.partition, 0)
        self.report.apart["ahead"] += is_ahead
        return is_ahead

    def _judge(
        self,
        record: Record,
        origin: Origin,
        outputs: Sequence[Output],
        own: list[Found],
        there: There,
    ) -> None:
        items = self._compared.items(record) if own else None
        if items is not None:
            own = [row for row in own if row.item in items or row.item == NO_ITEM]
        knows_letters = Role.DEAD_LETTER in self._plan.topics
        for pair in judge(made_of(origin, outputs), own, knows_letters=knows_letters):
            if pair.before is None and pair.kind is not Kind.IDENTICAL:
                after = outputs[pair.after.number] if pair.after is not None else outputs[0]
                target = self._compared.target(after.role, record.partition, record.key)
                if there.cuts.may_hide(record.partition, record.offset, after.role, target):
                    self.report.apart["expired"] += 1
                    continue
            self._enter(record, origin, outputs, pair)
        if len(own) > 1:
            self.report.apart["doubled"] += _doubled(own)

    def _copy(
        self,
        record: Record,
        origin: Origin,
        outputs: Sequence[Output],
        store: Store,
        *,
        inside: bool,
    ) -> None:
        """A copy takes its original's place: what it gives is what should be there last."""
        own = store.of_source(Source(origin.topic, origin.partition, origin.offset))
        events = made_of(origin, outputs)
        self._flush()
        for pair in judge(events, own, knows_letters=Role.DEAD_LETTER in self._plan.topics):
            source = Source(*origin[:3], pair.item)
            if pair.kind is not Kind.WITHOUT_RAW and (inside or self._verdicts.of(source)):
                self._enter(record, origin, outputs, pair)
        self.report.apart["copies"] += 1

    def _enter(self, record: Record, origin: Origin, outputs: Sequence[Output], pair: Pair) -> None:
        """Note a verdict; identical ones only where a copy may still take their place."""
        if pair.kind is Kind.IDENTICAL and not self._compared.accept_origin:
            self.report.kinds[Kind.IDENTICAL] += 1
            return
        after = None if pair.after is None else outputs[pair.after.number]
        source = Source(origin.topic, origin.partition, origin.offset, pair.item)
        self._note(self._verdict(source, raw_place(record), pair, after))

    def _verdict(
        self, source: Source, raw: tuple[int, int], pair: Pair, after: Output | None
    ) -> Verdict:
        row = pair.before
        role, partition, offset = ("", -1, -1) if row is None else row[4:7]
        packed = cash = None
        if after is not None and pair.kind is not Kind.IDENTICAL:
            packed = pack(after) if pair.kind in _PACKED else None
            cash = self._purse.of_enriched(after.value) if after.role is Role.ENRICHED else None
        reason = _reason(pair.kind, row, pair.after)
        return Verdict(
            *source, pair.kind.value, reason, *raw, role, partition, offset, packed, cash
        )

    def _strays(self, rows: Iterable[Found]) -> None:
        """Outputs whose raw record does not exist."""
        inside = (row for row in rows if self._is_inside(row))
        for (topic, partition, offset), own in groupby(inside, lambda row: row[:3]):
            for pair in judge((), list(own), knows_letters=True):
                source = Source(topic, partition, offset, pair.item)
                self._note(self._verdict(source, (partition, offset), pair, None))

    def _is_inside(self, row: Found) -> bool:
        part = self._plan.raw[row.partition]
        return part.first <= row.offset < part.end

    def _note(self, verdict: Verdict) -> None:
        self._pending.append(verdict)
        if len(self._pending) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        self._verdicts.put(self._pending)
        self._pending.clear()

    def _add_results_money(self) -> None:
        for kind in (Kind.CHANGED, Kind.NEWLY_VALID, Kind.MISSING):
            for verdict in self._verdicts.all_of(kind):
                self.report.revenue.add(kind, verdict.cash, is_after=True)


def _reason(kind: Kind, before: Found | None, after: Made | None) -> str:
    then = first_reason(before.print) if before is not None and _is_letter(before.role) else ""
    now = after.reason if after is not None else ""
    if kind is Kind.OTHER_REASON:
        return f"{then} → {now}"
    return now or then


def _is_letter(role: str) -> bool:
    return role == Role.DEAD_LETTER


def _doubled(rows: Iterable[Found]) -> int:
    """Rows more than one of an event, less those that were written again on purpose."""
    seen: set[tuple[int, str]] = set()
    more = 0
    for row in rows:
        if row.marks & (REPLAYED | REDRIVEN):
            continue
        more += (row.item, row.role) in seen
        seen.add((row.item, row.role))
    return more
