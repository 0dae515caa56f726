"""Finds the fields in which changed events differ, and the revenue of all that differ.

The results of changed events are in the file of differences; the existing events are read a second
time, from the first changed one to the last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

import msgspec

from pipeline.core.dead_letter import read_headers
from pipeline.core.decoded_value import decoded_value
from pipeline.core.escape import short_json
from pipeline.core.headers import DlqHeader
from pipeline.core.json_pointer import ABSENT, find
from pipeline.core.json_pointer import differences as json_differences
from pipeline.core.json_value import JsonValue
from pipeline.core.masking import HIDDEN, mask, masked_event
from pipeline.core.origin import sender_headers
from pipeline.core.reasons import Invalid
from pipeline.core.record import Headers, Record, Role
from pipeline.ports import Reader
from pipeline.progress import Gauge, OnProgress
from pipeline.reconcile.compare.classify import DIFFERENT, DifferenceKind
from pipeline.reconcile.compare.difference_store import (
    Contents,
    DifferenceStore,
    EventDifference,
    unpack,
)
from pipeline.reconcile.compare.report import ComparisonReport, DiffSample, FieldChange
from pipeline.reconcile.revenue_reader import RevenueReader

KEY: Final = "key"
_LONGEST: Final = 120
_CHANGES_SHOWN: Final = 8
_IDENTICAL: Final = 500
_READ_AGAIN: Final = (
    DifferenceKind.CHANGED,
    DifferenceKind.NEWLY_INVALID,
    DifferenceKind.NEWLY_DROPPED,
    DifferenceKind.NEWLY_FORWARDED,
    DifferenceKind.REDRIVEN,
)
"""Kinds that would remove an enriched event, or change it."""


class CompareOptions(NamedTuple):
    """How differences are shown, and what counts as one."""

    show: int = 3
    """Number of samples of each kind and reason."""
    reveal: bool = False
    """Whether samples show personal data."""
    dropped_headers: Sequence[str] = ()
    """Patterns of headers that a redrive leaves out, which are no difference of redriven events."""


class FieldDiff:
    """Completes a report by reading the existing outputs that differ a second time."""

    def __init__(
        self,
        topics: dict[Role, str],
        differences: DifferenceStore,
        report: ComparisonReport,
        options: CompareOptions,
    ) -> None:
        self._topics = topics
        self._differences = differences
        self._report = report
        self._options = options
        self._samples: list[DiffSample] = []

    def read_again(
        self, reader: Reader, revenue_reader: RevenueReader, on_progress: OnProgress | None
    ) -> None:
        """Read the existing outputs of the differences again. Raises TransportError."""
        topic = self._topics[Role.ENRICHED]
        extents = self._differences.extents(_READ_AGAIN)
        offsets = {(topic, partition): ends for partition, ends in extents.items()}
        if not offsets:
            return
        waiting = {number: self._differences.at(_READ_AGAIN, number) for number in extents}
        heads: dict[int, EventDifference | None] = {
            n: next(each, None) for n, each in waiting.items()
        }
        equal: list[EventDifference] = []
        gauge = Gauge("comparing what differs", offsets, on_progress)
        for record in reader.read(offsets):
            gauge.passed(record)
            head = heads[record.partition]
            # An output of several events is replaced by all of them.
            while head is not None and head.out_offset <= record.offset:
                is_same = head.out_offset == record.offset
                if is_same and self._is_equal(head, record, revenue_reader):
                    equal.append(head)
                head = heads[record.partition] = next(waiting[record.partition], None)
            if len(equal) >= _IDENTICAL:
                self._count_identical(equal)
        self._count_identical(equal)
        gauge.finished()

    def _count_identical(self, equal: list[EventDifference]) -> None:
        """Count events as identical that differ only in their bytes."""
        self._report.kinds[DifferenceKind.IDENTICAL] += len(equal)
        self._report.excluded["respelled"] += len(equal)
        self._differences.remove([difference.source for difference in equal])
        equal.clear()

    def _is_equal(
        self, difference: EventDifference, record: Record, revenue_reader: RevenueReader
    ) -> bool:
        """Whether an event is the same after all; if not, count its fields and revenue.

        Those of a redriven event do not count: the raw topic does not hold its repair.
        """
        kind = DifferenceKind(difference.kind)
        if kind in {DifferenceKind.CHANGED, DifferenceKind.REDRIVEN}:
            before = Contents(record.value, record.key, sender_headers(record.headers))
            after = _contents(difference)
            after = after._replace(headers=sender_headers(after.headers))
            if kind is DifferenceKind.REDRIVEN:
                before, after = self._without_dropped(before), self._without_dropped(after)
            found = list(_differing(before, after))
            if not found or kind is DifferenceKind.REDRIVEN:
                return not found
            for name in found:
                self._report.count_field(name)
            if len(self._samples) < self._options.show:
                changes = _changes(before, after, found[:_CHANGES_SHOWN], self._options)
                self._samples.append(self._sample(difference, changes))
        self._report.revenue.add(kind, revenue_reader.of_enriched(record.value), is_after=False)
        return False

    def _without_dropped(self, contents: Contents) -> Contents:
        patterns = self._options.dropped_headers
        kept = [
            header
            for header in contents.headers
            if not any(fnmatchcase(header[0].lower(), pattern.lower()) for pattern in patterns)
        ]
        return contents._replace(headers=kept)

    def sum_up(self) -> None:
        """Add counts, reasons and samples of all kinds; call it after `read_again`."""
        report, limit = self._report, self._options.show
        for (kind, reason), number in self._differences.counts().items():
            report.kinds[kind] += number
            if reason and kind != DifferenceKind.IDENTICAL:
                report.reasons[kind, reason] += number
        for kind in (*DIFFERENT, DifferenceKind.REDRIVEN):
            reasons = [reason for (each, reason) in report.reasons if each == kind]
            if kind is DifferenceKind.CHANGED:
                report.samples += self._samples
                continue
            # Missing enriched events have no reason.
            for reason in sorted({*reasons, ""}):
                firsts = self._differences.first(kind, reason, limit)
                report.samples += [self._sample(difference, []) for difference in firsts]

    def _sample(self, difference: EventDifference, changes: list[FieldChange]) -> DiffSample:
        kind = DifferenceKind(difference.kind)
        detail = _detail(difference) if kind is DifferenceKind.NEWLY_INVALID else ""
        return DiffSample(
            kind,
            difference.source.text(),
            output_of(difference, self._topics),
            difference.reason,
            detail if self._options.reveal else mask(detail),
            changes,
        )


def output_of(difference: EventDifference, topics: dict[Role, str]) -> str:
    """Return `topic/partition/offset` of the existing output; empty when there is none."""
    if not difference.role:
        return ""
    return f"{topics[Role(difference.role)]}/{difference.out_partition}/{difference.out_offset}"


def _contents(difference: EventDifference) -> Contents:
    return Contents(None, None, ()) if difference.after is None else unpack(difference.after)


class _ViolationDetail(msgspec.Struct):
    detail: str = ""


def _detail(difference: EventDifference) -> str:
    """Return the detail of the first violation."""
    text = read_headers(_contents(difference).headers).get(DlqHeader.REASONS, "")
    with suppress(msgspec.MsgspecError):
        (first, *_) = msgspec.json.decode(text, type=list[_ViolationDetail])
        return first.detail
    return ""


def _differing(before: Contents, after: Contents) -> Iterator[str]:
    """Yield the names of the fields that differ."""
    if before.key != after.key:
        yield KEY
    if before.value != after.value:
        old, new = decoded_value(before.value), decoded_value(after.value)
        if type(old) is Invalid or type(new) is Invalid:
            yield ""
        else:
            yield from (each.pointer for each in json_differences(old, new))
    if list(before.headers) != list(after.headers):
        yield from _differing_headers(before.headers, after.headers)


def _differing_headers(before: Headers, after: Headers) -> Iterator[str]:
    """Compare the values of each name; the order of different names has no meaning."""
    for name in sorted({name for name, _ in (*before, *after)}):
        if [sent for n, sent in before if n == name] != [sent for n, sent in after if n == name]:
            yield f"header {name}"


def _changes(
    before: Contents, after: Contents, names: list[str], options: CompareOptions
) -> list[FieldChange]:
    documents = [decoded_value(each.value) for each in (before, after)]
    if not options.reveal:
        documents = [masked_event(document) for document in documents]
    changes = []
    for name in names:
        if not name or name.startswith("/"):
            old, new = (_text(_at(document, name)) for document in documents)
            if old == new:  # what differs is hidden
                old = new = HIDDEN
        else:
            old, new = (
                _plain(_sent(each, name), reveal=options.reveal) for each in (before, after)
            )
        changes.append(FieldChange(name, old, new))
    return changes


def _at(document: JsonValue, pointer: str) -> JsonValue:
    if not pointer:
        return document
    return find(document, pointer)


def _text(value: JsonValue) -> str | None:
    if value is ABSENT:
        return None
    return short_json(str(value.violations[0].code) if type(value) is Invalid else value, _LONGEST)


def _sent(contents: Contents, name: str) -> bytes | None:
    if name == KEY:
        return contents.key
    header = name.removeprefix("header ")
    return next((sent for other, sent in contents.headers if other == header), None)


def _plain(sent: bytes | None, *, reveal: bool) -> str | None:
    if sent is None:
        return None
    text = sent.decode(errors="backslashreplace")
    return short_json(text if reveal else mask(text), _LONGEST)
