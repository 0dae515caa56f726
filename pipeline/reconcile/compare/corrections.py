"""A correction run: of all results only those that differ, each marked with what it replaces.

A comparison has noted the differences in a file; each process of the replay opens it and asks it
about every output.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from pipeline.core.coordinates import Source, parse_source
from pipeline.core.encode import encode_json
from pipeline.core.headers import TrackHeader
from pipeline.core.masking import masked_value
from pipeline.core.record import Output, Record, Role
from pipeline.files.transform import dead_letter_line
from pipeline.reconcile.compare.classify import Kind
from pipeline.reconcile.compare.difference_store import Verdict, Verdicts, raw_place, unpack
from pipeline.reconcile.compare.field_diff import place_of
from pipeline.reconcile.event_filters import source_of

WRITABLE: Final = (Kind.CHANGED, Kind.NEWLY_VALID, Kind.MISSING, Kind.REDRIVEN)
"""Of these there may be an enriched event to be written."""


class Asked(Protocol):
    """Verdicts by source."""

    def of(self, source: Source) -> Verdict | None:
        """The verdict on one event; None when there is none."""


def read_only(text: str) -> frozenset[Kind]:
    """`changed,newly-valid` as kinds; ValueError, with those that are known, for others."""
    known = {kind.value: kind for kind in WRITABLE}
    names = [name.strip() for name in text.split(",")]
    wrong = [name for name in names if name not in known]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is none of {', '.join(known)}")
    return frozenset(known[name] for name in names)


class Corrections:
    """Chooses among a record's outputs."""

    def __init__(self, verdicts: Asked, kinds: Collection[str], topics: Mapping[Role, str]) -> None:
        """`kinds` are values of some of WRITABLE; `topics` are those that were compared."""
        self._verdicts = verdicts
        self._kinds = kinds
        self._topics = dict(topics)

    def of(self, record: Record, outputs: Sequence[Output]) -> list[Output]:
        """What of a record's outputs is to be written: enriched events, and their messages.

        Of a record and its copies only that one counts which the comparison has counted.
        """
        return [
            _marked(output, place_of(verdict, self._topics))
            for output in outputs
            if (verdict := self._verdict(output)) is not None
            and verdict.kind in self._kinds
            and raw_place(record) == (verdict.raw_partition, verdict.raw_offset)
        ]

    def _verdict(self, output: Output) -> Verdict | None:
        if output.role not in {Role.ENRICHED, Role.IDENTIFY}:
            return None
        source = parse_source(source_of(output))
        return None if source is None else self._verdicts.of(source)


def _marked(output: Output, place: str) -> Output:
    """With the header of what it replaces; a message replaces nothing."""
    if not place or output.role is not Role.ENRICHED:
        return output
    return output._replace(headers=[*output.headers, (TrackHeader.REPLACES, place.encode())])


def newly_invalid_lines(
    verdicts: Verdicts, topics: Mapping[Role, str], *, reveal: bool
) -> Iterator[bytes]:
    """The newly invalid events as lines of NDJSON: what is there, and why it is refused now.

    Their values are masked unless `reveal`.
    """
    for verdict in verdicts.all_of(Kind.NEWLY_INVALID):
        if verdict.after is None:
            continue
        value, key, headers = unpack(verdict.after)
        shown = value if reveal else masked_value(value)
        letter = Output(Role.DEAD_LETTER, shown, key, headers, 0, verdict.raw_partition)
        place = place_of(verdict, dict(topics))
        line: dict[str, Any] = {**dead_letter_line(letter), "there": place or None}
        yield encode_json(line | {"masked": not reveal}) + b"\n"
