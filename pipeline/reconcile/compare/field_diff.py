"""Which fields of changed events differ, and the money in all that differ: a second look.

The results of changed events wait in the file of verdicts; what is there is read once more, from
the first of them to the last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

import msgspec

from pipeline.core.dead_letter import read_headers
from pipeline.core.decode import decode
from pipeline.core.escape import short_json
from pipeline.core.headers import DlqHeader
from pipeline.core.json_pointer import ABSENT, differences, find
from pipeline.core.json_value import JsonValue
from pipeline.core.masking import HIDDEN, mask, masked_event
from pipeline.core.origin import sender_headers
from pipeline.core.reasons import Invalid
from pipeline.core.record import Headers, Record, Role
from pipeline.ports import Reader
from pipeline.progress import Gauge, OnProgress
from pipeline.reconcile.compare.classify import DIFFERENT, Kind
from pipeline.reconcile.compare.difference_store import Contents, Verdict, Verdicts, unpack
from pipeline.reconcile.compare.report import Change, Report, Sample
from pipeline.reconcile.revenue import Purse

KEY: Final = "key"
_DEEPEST: Final = 512
_LONGEST: Final = 120
_CHANGES_SHOWN: Final = 8
_FORGET: Final = 500
_READ_AGAIN: Final = (Kind.CHANGED, Kind.NEWLY_INVALID, Kind.NEWLY_DROPPED, Kind.REDRIVEN)
"""What may take something away from the enriched topic, or change it."""


class Shown(NamedTuple):
    """How samples are shown."""

    most: int
    """Of each kind; of newly valid and newly invalid ones of each reason."""
    reveal: bool
    """Personal data too."""


class Changes:
    """Completes a report from the verdicts and a second look at what is there."""

    def __init__(
        self,
        topics: dict[Role, str],
        verdicts: Verdicts,
        report: Report,
        shown: Shown,
        dropped_headers: Sequence[str],
    ) -> None:
        """`dropped_headers` are the patterns of headers that a redrive leaves out."""
        self._topics = topics
        self._verdicts = verdicts
        self._report = report
        self._shown = shown
        self._dropped = dropped_headers
        self._samples: list[Sample] = []

    def look(self, reader: Reader, purse: Purse, on_progress: OnProgress | None) -> None:
        """Read again what is there of the differences; TransportError."""
        topic = self._topics[Role.ENRICHED]
        extents = self._verdicts.extents(_READ_AGAIN)
        ranges = {(topic, partition): ends for partition, ends in extents.items()}
        if not ranges:
            return
        waiting = {number: self._verdicts.at(_READ_AGAIN, number) for number in extents}
        heads: dict[int, Verdict | None] = {n: next(each, None) for n, each in waiting.items()}
        equal: list[Verdict] = []
        gauge = Gauge("comparing what differs", ranges, on_progress)
        for record in reader.read(ranges):
            gauge.passed(record)
            head = heads[record.partition]
            # An output that stands for several events is what all of them replace.
            while head is not None and head.out_offset <= record.offset:
                if head.out_offset == record.offset and self._is_equal(head, record, purse):
                    equal.append(head)
                head = heads[record.partition] = next(waiting[record.partition], None)
            if len(equal) >= _FORGET:
                self._forget(equal)
        self._forget(equal)
        gauge.finished()

    def _forget(self, equal: list[Verdict]) -> None:
        """What is the same but for its bytes is identical."""
        self._report.kinds[Kind.IDENTICAL] += len(equal)
        self._report.apart["respelled"] += len(equal)
        self._verdicts.forget([verdict.source for verdict in equal])
        equal.clear()

    def _is_equal(self, verdict: Verdict, record: Record, purse: Purse) -> bool:
        """Whether an event is the same after all; if not, its fields and money count.

        Those of a redriven one do not count: the raw topic does not hold its repair.
        """
        kind = Kind(verdict.kind)
        if kind in {Kind.CHANGED, Kind.REDRIVEN}:
            before = Contents(record.value, record.key, sender_headers(record.headers))
            after = _contents(verdict)
            after = after._replace(headers=sender_headers(after.headers))
            if kind is Kind.REDRIVEN:
                before, after = self._without_dropped(before), self._without_dropped(after)
            found = list(_differing(before, after))
            if not found or kind is Kind.REDRIVEN:
                return not found
            for name in found:
                self._report.count_field(name)
            if len(self._samples) < self._shown.most:
                changes = _changes(before, after, found[:_CHANGES_SHOWN], self._shown)
                self._samples.append(self._sample(verdict, changes))
        self._report.revenue.add(kind, purse.of_enriched(record.value), is_after=False)
        return False

    def _without_dropped(self, contents: Contents) -> Contents:
        kept = [
            header
            for header in contents.headers
            if not any(fnmatchcase(header[0].lower(), pattern.lower()) for pattern in self._dropped)
        ]
        return contents._replace(headers=kept)

    def sum_up(self) -> None:
        """Counts, reasons, and samples of all kinds; after `look`."""
        report, most = self._report, self._shown.most
        for (kind, reason), number in self._verdicts.counts().items():
            report.kinds[kind] += number
            if reason and kind != Kind.IDENTICAL:
                report.reasons[kind, reason] += number
        for kind in (*DIFFERENT, Kind.REDRIVEN):
            reasons = [reason for (each, reason) in report.reasons if each == kind]
            if kind is Kind.CHANGED:
                report.samples += self._samples
                continue
            # MISSING ones have no reason where an enriched event is missing.
            for reason in sorted({*reasons, ""}):
                firsts = self._verdicts.first(kind, reason, most)
                report.samples += [self._sample(verdict, []) for verdict in firsts]

    def _sample(self, verdict: Verdict, changes: list[Change]) -> Sample:
        kind = Kind(verdict.kind)
        detail = _detail(verdict) if kind is Kind.NEWLY_INVALID else ""
        return Sample(
            kind,
            verdict.source.text(),
            place_of(verdict, self._topics),
            verdict.reason,
            detail if self._shown.reveal else mask(detail),
            changes,
        )


def place_of(verdict: Verdict, topics: dict[Role, str]) -> str:
    """`topic/partition/offset` of what is there; empty when nothing is."""
    if not verdict.role:
        return ""
    return f"{topics[Role(verdict.role)]}/{verdict.out_partition}/{verdict.out_offset}"


def _contents(verdict: Verdict) -> Contents:
    return Contents(None, None, ()) if verdict.after is None else unpack(verdict.after)


class _Reason(msgspec.Struct):
    detail: str = ""


def _detail(verdict: Verdict) -> str:
    """Of the first violation."""
    text = read_headers(_contents(verdict).headers).get(DlqHeader.REASONS, "")
    with suppress(msgspec.MsgspecError):
        (first, *_) = msgspec.json.decode(text, type=list[_Reason])
        return first.detail
    return ""


def _differing(before: Contents, after: Contents) -> Iterator[str]:
    """Names of the fields that differ."""
    if before.key != after.key:
        yield KEY
    if before.value != after.value:
        old, new = decode(before.value, _DEEPEST), decode(after.value, _DEEPEST)
        if type(old) is Invalid or type(new) is Invalid:
            yield ""
        else:
            yield from (each.pointer for each in differences(old, new))
    if list(before.headers) != list(after.headers):
        yield from _differing_headers(before.headers, after.headers)


def _differing_headers(before: Headers, after: Headers) -> Iterator[str]:
    """A name may occur more than once; the order of different names tells nothing."""
    for name in sorted({name for name, _ in (*before, *after)}):
        if [sent for n, sent in before if n == name] != [sent for n, sent in after if n == name]:
            yield f"header {name}"


def _changes(before: Contents, after: Contents, names: list[str], shown: Shown) -> list[Change]:
    documents = [decode(each.value, _DEEPEST) for each in (before, after)]
    if not shown.reveal:
        documents = [masked_event(document) for document in documents]
    changes = []
    for name in names:
        if not name or name.startswith("/"):
            old, new = (_text(_at(document, name)) for document in documents)
            if old == new:  # what differs is hidden
                old = new = HIDDEN
        else:
            old, new = (_plain(_sent(each, name), reveal=shown.reveal) for each in (before, after))
        changes.append(Change(name, old, new))
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
    wanted = name.removeprefix("header ")
    return next((sent for other, sent in contents.headers if other == wanted), None)


def _plain(sent: bytes | None, *, reveal: bool) -> str | None:
    if sent is None:
        return None
    text = sent.decode(errors="backslashreplace")
    return short_json(text if reveal else mask(text), _LONGEST)
