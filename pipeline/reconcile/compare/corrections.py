"""Selects the outputs of a correction run: only those that differ, marked with what they replace.

A comparison has saved the differences in a file; each process of the replay opens it and looks up
every output.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from pipeline.core.coordinates import Source, parse_source
from pipeline.core.encode import encode_json
from pipeline.core.formats import ReadText
from pipeline.core.headers import TrackHeader
from pipeline.core.masking import HIDDEN, masked_value
from pipeline.core.reasons import Invalid
from pipeline.core.record import Headers, Output, Record, Role
from pipeline.files.transform import dead_letter_line
from pipeline.reconcile.compare.classify import DifferenceKind
from pipeline.reconcile.compare.difference_store import (
    DifferenceStore,
    EventDifference,
    raw_place,
    unpack,
)
from pipeline.reconcile.compare.field_diff import output_of
from pipeline.reconcile.event_filters import source_of

WRITABLE: Final = (
    DifferenceKind.CHANGED,
    DifferenceKind.NEWLY_VALID,
    DifferenceKind.MISSING,
    DifferenceKind.REDRIVEN,
)
"""Kinds of which a correction run may write enriched events."""


class DifferenceLookup(Protocol):
    """Finds differences by source."""

    def find(self, source: Source) -> EventDifference | None:
        """Return the difference of one event; None when it has none."""


def read_kinds(text: str) -> frozenset[DifferenceKind]:
    """Read kinds such as `changed,newly-valid`; raise ValueError that names the known ones."""
    known = {kind.value: kind for kind in WRITABLE}
    names = [name.strip() for name in text.split(",")]
    wrong = [name for name in names if name not in known]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is not one of {', '.join(known)}")
    return frozenset(known[name] for name in names)


class Corrections:
    """Selects the outputs of a record that a correction run writes. See `OutputSelector`."""

    def __init__(
        self, differences: DifferenceLookup, kinds: Collection[str], topics: Mapping[Role, str]
    ) -> None:
        """`kinds` are values of some of WRITABLE; `topics` are those that were compared."""
        self._differences = differences
        self._kinds = kinds
        self._topics = dict(topics)

    def select(self, record: Record, outputs: Sequence[Output]) -> list[Output]:
        """Return the outputs to write: enriched events and their identify messages.

        Of a record and its copies only the one that the comparison has counted is written.
        """
        return [
            _marked(output, output_of(difference, self._topics))
            for output in outputs
            if (difference := self._difference(output)) is not None
            and difference.kind in self._kinds
            and raw_place(record) == (difference.raw_partition, difference.raw_offset)
        ]

    def _difference(self, output: Output) -> EventDifference | None:
        if output.role not in {Role.ENRICHED, Role.IDENTIFY}:
            return None
        source = parse_source(source_of(output))
        return None if source is None else self._differences.find(source)


def _masked(value: bytes | None, headers: Headers, read: ReadText | None) -> bytes | None:
    """Return the masked value as JSON text; all of it is hidden when it can't be read."""
    text = value if read is None or value is None else read(value, headers)
    return HIDDEN.encode() if type(text) is Invalid else masked_value(text)


def _marked(output: Output, replaced: str) -> Output:
    """Add the header of what an event replaces; an identify message replaces nothing."""
    if not replaced or output.role is not Role.ENRICHED:
        return output
    return output._replace(headers=[*output.headers, (TrackHeader.REPLACES, replaced.encode())])


def newly_invalid_lines(
    differences: DifferenceStore,
    topics: Mapping[Role, str],
    read: ReadText | None = None,
    *,
    reveal: bool,
) -> Iterator[bytes]:
    """Yield the newly invalid events as NDJSON: the existing output, and why it is rejected now.

    Values are masked unless `reveal` is set. `read` turns those of raw records into JSON text; None
    when all of them are plain JSON.
    """
    for difference in differences.all_of(DifferenceKind.NEWLY_INVALID):
        if difference.after is None:
            continue
        value, key, headers = unpack(difference.after)
        shown = value if reveal else _masked(value, headers, read)
        dead_letter = Output(Role.DEAD_LETTER, shown, key, headers, 0, difference.raw_partition)
        existing = output_of(difference, dict(topics))
        line: dict[str, Any] = {**dead_letter_line(dead_letter), "output": existing or None}
        yield encode_json(line | {"masked": not reveal}) + b"\n"
