"""Whether the output topics hold exactly what the rules make of the raw topic.

A pure function of the topics: every raw record below the group's committed offset is processed
again, and each of its events must have exactly its outcome. First the outputs are read, and sorted
by the raw records that they name; then the raw records are read beside them, once.
`pipeline.cli.audit.run_audit` runs it on a cluster.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from pipeline.core.coordinates import Source
from pipeline.core.origin import Origin
from pipeline.core.process import Processor
from pipeline.core.record import Output, Record
from pipeline.ports import Reader
from pipeline.progress import Gauge, OnProgress
from pipeline.reconcile.audit.collect import Collector
from pipeline.reconcile.audit.difference import difference
from pipeline.reconcile.audit.expect import Expected, Expecter, decode_expected, encode_expected
from pipeline.reconcile.audit.match import CONTENTS, Claim, Standing, judge
from pipeline.reconcile.audit.recorder import Books
from pipeline.reconcile.audit.result import APART, AuditResult, Kind, Offence
from pipeline.reconcile.output_store import Rows, Store
from pipeline.reconcile.outputs import POINTER, SET_ASIDE
from pipeline.reconcile.ranges import Plan, Target
from pipeline.reconcile.revenue import Money, Purse
from pipeline.reconcile.spill import CACHE_KIB

__all__ = ["APART", "USUAL", "AuditOptions", "AuditResult", "Kind", "Offence", "audit"]

_SPECIAL: Final = SET_ASIDE | POINTER


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """How to audit; none of it changes the counts."""

    money: bool = False
    """Also add up the revenue."""
    show: int = 5
    """Offences of each kind that are named."""
    spill_dir: Path | None = None
    """Where the temporary file is made; None: the system's folder for temporary files."""
    cache_kib: int = CACHE_KIB
    """How much of the temporary file is kept in memory."""


USUAL: Final = AuditOptions()


def audit(  # noqa: PLR0913  made in one place, by keyword
    reader: Reader,
    plan: Plan,
    processor: Processor,
    target: Target,
    *,
    accept_origin: bool,
    now: int,
    options: AuditOptions = USUAL,
    on_progress: OnProgress | None = None,
) -> AuditResult:
    """Hold the outputs against the raw records.

    `processor` must have the settings that were in force; `accept_origin` is one of them. `now` is
    the wall clock, epoch milliseconds. Raises TransportError when the topics can't be read, and
    OSError when the temporary file can't be written.
    """
    started = time.monotonic()
    result = _empty_result(plan, processor.contract, with_money=options.money)
    purse = Purse(processor) if options.money else None
    expecter = Expecter(processor, target, purse, accept_origin=accept_origin, now=now)
    with Store(options.spill_dir, options.cache_kib) as store:
        collector = Collector(
            plan, store, result, purse, keeps_outside=accept_origin, show=options.show
        )
        collector.collect(reader, on_progress)
        books = Books(plan, store, result, collector.cuts, options.show)
        recount = _Recount(
            plan=plan,
            reader=reader,
            store=store,
            expecter=expecter,
            books=books,
            result=result,
        )
        recount.run(on_progress, to_last=accept_origin)
    result.offences.sort(key=lambda offence: list(Kind).index(offence.kind))
    result.seconds = time.monotonic() - started
    return result


def _empty_result(plan: Plan, contract: str, *, with_money: bool) -> AuditResult:
    return AuditResult(
        contract=contract,
        group=plan.group,
        ranges={
            f"{plan.raw_topic}/{number}": (part.first, part.end)
            for number, part in sorted(plan.raw.items())
        },
        money=Money() if with_money else None,
    )


class _Recount:
    """Processes the raw records again and judges each beside its outputs."""

    def __init__(  # noqa: PLR0913  made in one place
        self,
        *,
        plan: Plan,
        reader: Reader,
        store: Store,
        expecter: Expecter,
        books: Books,
        result: AuditResult,
    ) -> None:
        self._plan = plan
        self._reader = reader
        self._store = store
        self._expecter = expecter
        self._books = books
        self._result = result
        self._rows = {
            number: Rows(store.of_partition(plan.raw_topic, number)) for number in plan.raw
        }

    def run(self, on_progress: OnProgress | None, *, to_last: bool) -> None:
        """Judge every record of the window, then what is left."""
        ranges = self._plan.raw_ranges(to_last=to_last)
        gauge = Gauge("processing the raw records again", ranges, on_progress)
        for record in self._reader.read(ranges):
            gauge.passed(record)
            self._record(record)
        for rows in self._rows.values():
            self._store.set_aside(rows.rest(), Standing.UNKNOWN)
        gauge.finished()
        for encoded in self._store.deferred():
            self._copy(decode_expected(encoded))
        self._books.enter_unclaimed()

    def _record(self, record: Record) -> None:
        plan, rows = self._plan, self._rows[record.partition]
        # Offsets without a record: what claims to be from there is nobody's.
        stray = rows.before(record.offset)
        if stray:
            self._store.set_aside(stray, Standing.UNKNOWN)
        own = rows.of(record.offset)
        inside = record.offset < plan.raw[record.partition].end
        inside = inside and plan.window.holds(record.timestamp)
        origin = self._expecter.origin(record)
        if origin[:4] != (record.topic, record.partition, record.offset, None):
            self._store.set_aside(own, Standing.UNKNOWN if inside else Standing.OUTSIDE)
            self._defer(record, origin, is_optional=not inside)
        elif inside:
            outputs = self._expecter.outputs(record)
            special = any(row.marks & _SPECIAL for row in own)
            expected = self._expecter.expected(record, origin, outputs, special=special)
            verdict = judge(expected, own)
            if not verdict.is_plain:
                self._expecter.read_money(expected, outputs, origin)
            look = partial(self._look, outputs=outputs)
            self._books.enter(expected, verdict, look, in_order=True)
        else:
            self._result.apart["outside"] += len(own)
            self._store.set_aside(own, Standing.OUTSIDE)

    def _defer(self, record: Record, origin: Origin, *, is_optional: bool) -> None:
        """A copy's outputs are named after its origin: it is judged when all those are."""
        self._result.apart["copies"] += 1
        outputs = self._expecter.outputs(record)
        expected = self._expecter.expected(record, origin, outputs, special=True)
        expected.is_optional = is_optional
        self._expecter.read_money(expected, outputs, origin)
        self._store.defer(encode_expected(expected))

    def _copy(self, expected: Expected) -> None:
        """Judge a copy by what its origin has left."""
        source = Source(expected.topic, expected.partition, expected.offset, expected.item)
        rows = self._store.unclaimed_of(source)
        verdict = judge(expected, rows)
        self._store.claim([claim.row for claim in verdict.claims])
        # What it does not claim keeps the standing that it has.
        verdict.extras.clear()
        self._books.enter(expected, verdict, lambda _: "differs", in_order=False)

    def _look(self, claim: Claim, *, outputs: Sequence[Output]) -> str:
        """Read an output again, to say what is wrong with it."""
        row, wanted = claim.row, claim.wanted
        if wanted is None or row.marks & POINTER:
            return f"its {CONTENTS} are not those of the raw record"
        output = outputs[wanted.number]
        place = self._plan.topics[output.role], row.out_partition
        for found in self._reader.read({place: (row.out_offset, row.out_offset + 1)}):
            return difference(output, found)
        return "it was deleted meanwhile"
