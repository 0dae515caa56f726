"""Whether the outputs of a replay are those that it says to have written: each, and each once.

The outputs of one raw partition stand in an output partition in the order of their sources: a slot
writes them so, and equal sources have equal keys. So an output whose source is not behind the one
before it was written twice, and no memory of all sources is needed to find it. The lines of files
stand in their order too. Archived coordinates may not: then all sources are noted in a file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pipeline.core.coordinates import NO_ITEM, Source, parse_source
from pipeline.core.counts import OutcomeCounts
from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.record import NO_PARTITION, Record, Role
from pipeline.errors import DataLossError
from pipeline.ports import Ranges, Reader
from pipeline.reconcile.disk_set import DiskSet
from pipeline.replay.plan import ReplayPlan

_SHOWN: Final = 5
_BITS: Final = 8
_CHUNK_BITS: Final = 15
_HEADERS: Final = {
    Role.ENRICHED: (TrackHeader.REPLAY, TrackHeader.SOURCE),
    Role.IDENTIFY: (TrackHeader.REPLAY, TrackHeader.SOURCE),
    Role.DEAD_LETTER: (DlqHeader.REPLAY, DlqHeader.SOURCE),
    Role.OTHER: (TrackHeader.REPLAY, TrackHeader.SOURCE),
}
"""The headers of the replay's id and of the source, by the role of the output."""


@dataclass
class Verification:
    """What the output topics hold of a replay, and what does not add up."""

    found: OutcomeCounts = field(default_factory=OutcomeCounts)
    """Counts of the outputs. Records are counted for a single slot only, and of these only the
    ones that have an output."""
    positions: dict[int, int] = field(default_factory=dict)
    """Raw partition → the offset after the last record that has an output."""
    duplicated: int = 0
    """Outputs of a source that already has one."""
    unplanned: int = 0
    """Outputs of sources that are not in the plan."""
    samples: list[str] = field(default_factory=list)
    """Sources of some duplicated and unplanned outputs."""
    problems: list[str] = field(default_factory=list)
    """A sentence for everything that does not add up."""

    @property
    def ok(self) -> bool:
        """Whether everything adds up."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "ok": self.ok,
            "enriched": self.found.enriched,
            "identify": self.found.identify,
            "forwarded": self.found.forwarded,
            "dead_letters": self.found.rejected,
            "reasons": self.found.dead_letters,
            "duplicated": self.duplicated,
            "not_in_plan": self.unplanned,
            "samples": self.samples,
            "problems": self.problems,
        }


def read_back(  # noqa: PLR0913  most of them by keyword
    reader: Reader,
    plan: ReplayPlan,
    extents: Mapping[str, Mapping[int, tuple[int, int]]],
    *,
    slot: int | None = None,
    ordered: bool = True,
    noted: DiskSet | None = None,
) -> Verification:
    """Read what is in the outputs now, of one slot or of all.

    `extents` has the partitions of each output topic: first offset and the one after the last.
    `ordered` says that sources are coordinates of the records that were read, not origins that
    these name. `noted` takes the sources where their order does not tell all, see `noting`; for
    one slot of a replay of files also the names of all records that have an output, see `name_of`.
    Raises DataLossError when a part of what was written is deleted, and TransportError.
    """
    roles = {target.topic: role for role, target in plan.outputs.items()}
    ranges = _ranges(plan, extents)
    outputs = _Outputs(plan, slot, noted, ordered=ordered)
    for record in reader.read(ranges):
        outputs.add(roles[record.topic], record)
    return outputs.read


def name_of(source: Source) -> bytes:
    """The name under which a source's whole record is noted."""
    return f"record {source._replace(item=NO_ITEM).text()}".encode()


@contextmanager
def noting(plan: ReplayPlan, folder: Path | None, *, ordered: bool) -> Iterator[DiskSet | None]:
    """Note sources in a temporary file; None when their order tells all."""
    if ordered and (plan.archive is None or plan.archive.in_order):
        yield None
        return
    with DiskSet(folder) as seen:
        yield seen


def _ranges(plan: ReplayPlan, extents: Mapping[str, Mapping[int, tuple[int, int]]]) -> Ranges:
    ranges = {}
    for target in plan.outputs.values():
        for number, (begin, end) in extents[target.topic].items():
            first = target.begins.get(number, 0)
            if begin > first:
                raise DataLossError(
                    f"{target.topic}/{number}: retention has deleted offsets {first} to "
                    f"{begin - 1}, among which are outputs of replay {plan.id}: they can't be "
                    "counted any more"
                )
            ranges[target.topic, number] = first, end
    return ranges


class _Outputs:
    """Counts the outputs of a replay as they are read, and finds those that do not belong."""

    def __init__(
        self, plan: ReplayPlan, slot: int | None, noted: DiskSet | None, *, ordered: bool
    ) -> None:
        self.read = Verification()
        self._id = plan.id.encode()
        self._topic = plan.raw_topic
        self._archive = plan.archive
        self._noted = noted
        self._parts = {part.partition: part for part in plan.parts}
        self._slots, self._slot = plan.slots, slot
        self._ordered = ordered
        self._seen: dict[tuple[int, int], bytearray] = {}
        self._last: dict[tuple[Role, str, int, int], tuple[int, int]] = {}

    def add(self, role: Role, record: Record) -> None:
        replay, name = _HEADERS[role]
        headers = dict(record.headers)
        text = headers.get(name) or b""
        source = parse_source(text) if self._archive is None else self._archive.source(text)
        if headers.get(replay) != self._id:
            return
        if source is not None and self._slot not in {None, source.partition % self._slots}:
            return
        self._count(role, headers)
        if self._ordered or self._noted is not None:
            self._place(role, record.partition, source)

    def _count(self, role: Role, headers: Mapping[str, bytes | None]) -> None:
        found = self.read.found
        if role is Role.ENRICHED:
            found.enriched += 1
        elif role is Role.IDENTIFY:
            found.identify += 1
        elif role is Role.OTHER:
            found.forwarded += 1
        else:
            reason = (headers.get(DlqHeader.REASON) or b"").decode(errors="replace")
            found.dead_letters[reason] += 1

    def _place(self, role: Role, target: int, source: Source | None) -> None:
        read = self.read
        if source is None or (self._ordered and not self._is_planned(source)):
            read.unplanned += 1
            self._show(source)
        elif not self._is_new(role, target, source):
            read.duplicated += 1
            self._show(source)
        elif self._archive is not None:
            if self._slot is not None and self._noted is not None:
                read.found.records += self._noted.is_new(name_of(source))
        else:
            if self._slot is not None:
                self._see(source)
            before = read.positions.get(source.partition, 0)
            read.positions[source.partition] = max(source.offset + 1, before)

    def _is_planned(self, source: Source) -> bool:
        if self._archive is not None:
            of_kafka = source.partition != NO_PARTITION
            return of_kafka or self._archive.line_of(source) is not None
        part = self._parts.get(source.partition)
        inside = part is not None and part.start <= source.offset < part.end
        return inside and source.topic == self._topic

    def _is_new(self, role: Role, target: int, source: Source) -> bool:
        place, offset = source.topic, source.offset
        if self._archive is not None and source.partition == NO_PARTITION:
            # The lines of all files are one stream, in their order.
            place, offset = "", self._archive.line_of(source) or 0
        elif self._noted is not None:
            kind = "identify" if role is Role.IDENTIFY else "event"
            return self._noted.is_new(f"{kind} {source.text()}".encode())
        stream, at = (role, place, source.partition, target), (offset, source.item)
        if at <= self._last.get(stream, (-1, -1)):
            return False
        self._last[stream] = at
        return True

    def _see(self, source: Source) -> None:
        """Count its record, once: a bit for each offset."""
        chunk, within = source.offset >> _CHUNK_BITS, source.offset & (1 << _CHUNK_BITS) - 1
        key = source.partition, chunk
        bits = self._seen.setdefault(key, bytearray((1 << _CHUNK_BITS) // _BITS))
        byte, bit = within // _BITS, 1 << within % _BITS
        self.read.found.records += not bits[byte] & bit
        bits[byte] |= bit

    def _show(self, source: Source | None) -> None:
        if len(self.read.samples) < _SHOWN:
            self.read.samples.append(
                "a source that can't be read" if source is None else source.text()
            )


def compare_counts(read: Verification, totals: OutcomeCounts) -> Verification:
    """Compare what was found with what the replay has counted."""
    found, problems = read.found, read.problems
    for what, expected, there in (
        ("enriched events", totals.enriched, found.enriched),
        ("identify messages", totals.identify, found.identify),
        ("forwarded calls", totals.forwarded, found.forwarded),
    ):
        if expected != there:
            problems.append(f"the topics hold {there:,} {what}, but {expected:,} were written")
    problems += _reasons(totals.dead_letters, found.dead_letters)
    examples = ", ".join(read.samples)
    if read.duplicated:
        problems.append(f"{read.duplicated:,} outputs are duplicates, for example of {examples}")
    if read.unplanned:
        problems.append(f"{read.unplanned:,} outputs are not of the plan, for example {examples}")
    return read


def _reasons(expected: Counter[str], found: Counter[str]) -> Iterable[str]:
    for reason in sorted({*expected, *found}):
        if expected[reason] != found[reason]:
            yield (
                f"the topics hold {found[reason]:,} dead letters for {reason}, but "
                f"{expected[reason]:,} were written"
            )
