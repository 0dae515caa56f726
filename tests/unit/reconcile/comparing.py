"""Compares forged topics with what changed rules make of their raw records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from pipeline.core.contract import Identity
from pipeline.core.record import Record, Role
from pipeline.reconcile.compare.comparison import Comparison, ComparisonTarget
from pipeline.reconcile.compare.difference_store import DifferenceStore
from pipeline.reconcile.compare.dry_run import DryRunProcessor
from pipeline.reconcile.compare.field_diff import CompareOptions
from pipeline.reconcile.compare.report import ComparisonReport
from pipeline.reconcile.ranges import AuditRanges, OutputPartition, RawPartition
from tests.fake_topics import LATER, NAMES, FakeTopics

TOPICS = {
    Role.ENRICHED: NAMES.enriched,
    Role.DEAD_LETTER: NAMES.dead_letter,
    Role.OTHER: NAMES.other,
}
EVERY_ROLE = tuple(TOPICS)


def ranges_of(
    fake: FakeTopics, roles: tuple[Role, ...], ends: dict[int, int] | None = None
) -> AuditRanges:
    """Return all raw offsets, or those before `ends`, and the output topics of these roles."""
    numbers = range(fake.partitions)

    def end(topic: str, number: int) -> int:
        return max((r.offset + 1 for r in fake.topics.get((topic, number), ())), default=0)

    raw = {}
    for number in numbers:
        begin, last = fake.begins.get((NAMES.raw, number), 0), end(NAMES.raw, number)
        raw[number] = RawPartition(begin, begin, (ends or {}).get(number, last), last)
    topics = {role: TOPICS[role] for role in roles}
    outputs = {}
    for topic in topics.values():
        for number in numbers:
            begin = fake.begins.get((topic, number), 0)
            outputs[topic, number] = OutputPartition(begin, begin, end(topic, number))
    return AuditRanges(group="live", raw_topic=NAMES.raw, topics=topics, raw=raw, outputs=outputs)


@contextmanager
def compared(
    fake: FakeTopics,
    *,
    roles: tuple[Role, ...] = (Role.ENRICHED, Role.DEAD_LETTER),
    options: CompareOptions | None = None,
    ends: dict[int, int] | None = None,
    dry_run: dict[str, Any] | None = None,
    more: dict[str, Any] | None = None,
    records: Iterable[Record] | None = None,
    **settings: Any,
) -> Iterator[tuple[ComparisonReport, DifferenceStore, Comparison]]:
    """Yield the report under these settings, and the differences while the context lasts."""
    processor = fake.processor(Identity(app="dry run"), **settings)
    target = ComparisonTarget(
        ranges_of(fake, roles, ends),
        lambda _, partition, __: partition,
        accept_origin=fake.settings.accept_origin_headers,
        **(more or {}),
    )
    with DifferenceStore(shared=True) as differences:
        counted = DryRunProcessor(processor, LATER + 5, **(dry_run or {}))
        comparison = Comparison(target, counted, differences, options or CompareOptions())
        yield comparison.run(fake, records=records), differences, comparison


def report_of(fake: FakeTopics, **how: Any) -> ComparisonReport:
    """Return only the report."""
    with compared(fake, **how) as (report, _, _):
        return report


def kinds(report: ComparisonReport) -> dict[str, int]:
    """Return the kinds that occur, with their counts."""
    return {kind: number for kind, number in report.kinds.items() if number}
