"""Compares forged topics with what changed rules make of their raw records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from pipeline.core.contract import Identity
from pipeline.core.record import Record, Role
from pipeline.reconcile.compare.difference_store import Verdicts
from pipeline.reconcile.compare.dry_run import Rehearsal
from pipeline.reconcile.compare.report import Report
from pipeline.reconcile.compare.run import Compared, CompareOptions, Comparison
from pipeline.reconcile.ranges import OutputPartition, Plan, RawPartition
from tests.forged_headers import LATER, NAMES, Forged

TOPICS = {Role.ENRICHED: NAMES.enriched, Role.DEAD_LETTER: NAMES.dead_letter}


def plan_of(forged: Forged, roles: tuple[Role, ...], ends: dict[int, int] | None = None) -> Plan:
    """All raw records, or those before `ends`; the output topics of these roles."""
    numbers = range(forged.partitions)

    def end(topic: str, number: int) -> int:
        return max((r.offset + 1 for r in forged.topics.get((topic, number), ())), default=0)

    raw = {}
    for number in numbers:
        begin, last = forged.begins.get((NAMES.raw, number), 0), end(NAMES.raw, number)
        raw[number] = RawPartition(begin, begin, (ends or {}).get(number, last), last)
    topics = {role: TOPICS[role] for role in roles}
    outputs = {}
    for topic in topics.values():
        for number in numbers:
            begin = forged.begins.get((topic, number), 0)
            outputs[topic, number] = OutputPartition(begin, begin, end(topic, number))
    return Plan(group="live", raw_topic=NAMES.raw, topics=topics, raw=raw, outputs=outputs)


@contextmanager
def compared(
    forged: Forged,
    *,
    roles: tuple[Role, ...] = (Role.ENRICHED, Role.DEAD_LETTER),
    options: CompareOptions | None = None,
    ends: dict[int, int] | None = None,
    rehearse: dict[str, Any] | None = None,
    more: dict[str, Any] | None = None,
    records: Iterable[Record] | None = None,
    **settings: Any,
) -> Iterator[tuple[Report, Verdicts, Comparison]]:
    """The report under these settings, and the verdicts while the context lasts."""
    processor = forged.processor(Identity(app="dry run"), **settings)
    what = Compared(
        plan_of(forged, roles, ends),
        lambda _, partition, __: partition,
        accept_origin=forged.settings.accept_origin_headers,
        **(more or {}),
    )
    with Verdicts(shared=True) as verdicts:
        rehearsal = Rehearsal(processor, LATER + 5, **(rehearse or {}))
        comparison = Comparison(what, processor, rehearsal, verdicts, options or CompareOptions())
        yield comparison.run(forged, records=records), verdicts, comparison


def report_of(forged: Forged, **how: Any) -> Report:
    """Only the report."""
    with compared(forged, **how) as (report, _, _):
        return report


def kinds(report: Report) -> dict[str, int]:
    """The kinds that occur."""
    return {kind: number for kind, number in report.kinds.items() if number}
