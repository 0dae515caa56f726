"""Classifies the events of one raw record: what the rules make of them, and what exists. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from pipeline.core.coordinates import NO_ITEM
from pipeline.core.headers import DlqHeader
from pipeline.core.origin import Origin, sender_headers
from pipeline.core.reasons import DocumentedEnum, Reason
from pipeline.core.record import Headers, Output, Role
from pipeline.reconcile.audit.expect import item_of
from pipeline.reconcile.outputs import REDRIVEN, OutputRow, output_digest


class DifferenceKind(DocumentedEnum):
    """How the result of an event compares with its existing output, each with its meaning."""

    IDENTICAL = "identical", "the same event, or rejected for the same reasons"
    CHANGED = "changed", "enriched before and now, with different contents"
    NEWLY_VALID = "newly-valid", "was rejected or forwarded, is enriched now"
    NEWLY_INVALID = "newly-invalid", "was enriched or forwarded, is rejected now"
    OTHER_REASON = "other-reason", "rejected before and now, for different reasons"
    NEWLY_DROPPED = "newly-dropped", "has an output, is dropped now by a setting"
    NEWLY_FORWARDED = (
        "newly-forwarded",
        "had none or another output, is forwarded now",
    )
    MISSING = "missing", "should have an output, and has none"
    ORPHANED = "orphaned", "an output that belongs to no raw event"
    REDRIVEN = "redriven", "written by a redrive, perhaps repaired; the raw event gives another one"


DIFFERENT: Final = tuple(
    kind
    for kind in DifferenceKind
    if kind not in {DifferenceKind.IDENTICAL, DifferenceKind.REDRIVEN}
)
"""Kinds that count as a difference. REDRIVEN is none: the raw topic does not hold the repair."""


class EventResult(NamedTuple):
    """The outcome of one event under the rules."""

    item: int
    """Index in a batch, or NO_ITEM."""
    role: Role
    digest: bytes
    """Digest that `comparison_digest` has made."""
    number: int
    """Index among the outputs of the record."""
    reason: str


class EventPair(NamedTuple):
    """One event: its existing output, and its outcome under the rules."""

    kind: DifferenceKind
    item: int
    before: OutputRow | None
    after: EventResult | None


def comparison_digest(
    role: Role, value: bytes | None, key: bytes | None, headers: Headers
) -> bytes:
    """Digest what must be equal: of events all but our own headers, of dead letters the reasons.

    The value of a dead letter is the raw one, whatever the rules are. Our headers say when, by whom
    and under which contract an output was written.
    """
    if role is Role.DEAD_LETTER:
        return ",".join(_reasons(headers)).encode()
    return output_digest(role, value, key, sender_headers(headers))


class _ViolationName(msgspec.Struct):
    code: str = ""
    pointer: str = ""


_read_reasons: Final = msgspec.json.Decoder(list[_ViolationName]).decode


def _reasons(headers: Headers) -> Iterator[str]:
    """Yield code and JSON Pointer of each violation; only the first code if they can't be read."""
    found = {name: value for name, value in headers if value is not None}
    try:
        for each in _read_reasons(found.get(DlqHeader.REASONS, b"")):
            yield f"{each.code} {each.pointer}".rstrip()
    except (msgspec.MsgspecError, ValueError):
        yield found.get(DlqHeader.REASON, b"").decode(errors="replace")


def first_reason(digest: bytes) -> str:
    """Return the code of the first reason in the digest of a dead letter."""
    return digest.decode(errors="replace").partition(",")[0].partition(" ")[0]


def event_results(origin: Origin, outputs: Sequence[Output]) -> list[EventResult]:
    """Return the outcomes of a record's events; identify messages are not compared."""
    base = origin._replace(item=None).source().encode()
    own = NO_ITEM if origin.item is None else origin.item
    events: list[EventResult] = []
    for number, (role, value, key, headers, _, _, reason, _) in enumerate(outputs):
        if role is Role.DROPPED:
            # It carries no coordinates; its index in the batch is that in the sequence.
            item = own if len(outputs) == 1 else len(events)
            events.append(EventResult(item, role, b"", number, reason))
        elif role is not Role.IDENTIFY:
            digest = comparison_digest(role, value, key, headers)
            item = item_of(outputs[number], base)
            events.append(EventResult(item, role, digest, number, reason))
    return events


def effective_outputs(rows: Iterable[OutputRow]) -> dict[int, OutputRow]:
    """Map each item to the output that counts for it.

    Any other output counts more than a dead letter, because a dead letter stays in its topic when
    it is redriven; of several outputs the last one counts.
    """
    found: dict[int, OutputRow] = {}
    for row in rows:
        if row.item not in found or _rank(found[row.item]) < _rank(row):
            found[row.item] = row
    return found


def _rank(row: OutputRow) -> tuple[bool, int, int]:
    return row.role != Role.DEAD_LETTER, row.out_offset, row.out_partition


def classify_record(
    events: Sequence[EventResult], rows: Sequence[OutputRow], *, known: Collection[Role]
) -> Iterator[EventPair]:
    """Pair a record's events with its existing outputs.

    `known` are the roles whose topics are compared. Without that of dead letters, an event without
    an output may have been rejected. A dead letter of a whole record is the output of each of its
    events.
    """
    if len(events) == 1 and len(rows) == 1:
        # The simple case, which holds for almost every record.
        (after,), (row,) = events, rows
        if after.item == row.item and after.role == row.role and after.digest == row.digest:
            yield EventPair(DifferenceKind.IDENTICAL, after.item, row, after)
            return
    existing = effective_outputs(rows)
    whole = existing.get(NO_ITEM)
    whole = whole if whole is not None and whole.role == Role.DEAD_LETTER else None
    paired: set[int] = set()
    for after in events:
        before = existing.get(after.item)
        if before is None and after.item != NO_ITEM:
            before = whole
        if before is None and after.item == NO_ITEM and after.role != Role.ENRICHED and existing:
            continue  # it is paired with the items, below
        if before is not None:
            paired.add(before.item)
        yield EventPair(_kind(before, after, known=known), after.item, before, after)
    whole_result = next((each for each in events if each.item == NO_ITEM), None)
    for item, before in existing.items():
        if item not in paired:
            rejected = whole_result is not None and whole_result.role != Role.ENRICHED
            result = whole_result if rejected and item != NO_ITEM else None
            kind = _kind(before, result, known=known)
            yield EventPair(kind, item, before, result)


def _kind(
    before: OutputRow | None, after: EventResult | None, *, known: Collection[Role]
) -> DifferenceKind:
    if before is None:
        return _kind_of_absent(after, known=known)
    if _is_equal(before, after):
        return DifferenceKind.IDENTICAL
    if before.marks & REDRIVEN:
        return DifferenceKind.REDRIVEN
    return DifferenceKind.ORPHANED if after is None else _kind_of_change(before, after)


def _kind_of_change(before: OutputRow, after: EventResult) -> DifferenceKind:
    if after.role is Role.DROPPED:
        return DifferenceKind.NEWLY_DROPPED
    if before.role != after.role and after.role is Role.OTHER:
        return DifferenceKind.NEWLY_FORWARDED
    if before.role != after.role:
        return (
            DifferenceKind.NEWLY_VALID
            if after.role is Role.ENRICHED
            else DifferenceKind.NEWLY_INVALID
        )
    rejected = after.role is Role.DEAD_LETTER
    return DifferenceKind.OTHER_REASON if rejected else DifferenceKind.CHANGED


def _is_equal(before: OutputRow, after: EventResult | None) -> bool:
    return after is not None and (before.role, before.digest) == (after.role, after.digest)


def _kind_of_absent(after: EventResult | None, *, known: Collection[Role]) -> DifferenceKind:
    if after is None:
        return DifferenceKind.ORPHANED
    if after.role is Role.DROPPED:
        return DifferenceKind.IDENTICAL
    if after.role is Role.ENRICHED:
        knows_rejected = Role.DEAD_LETTER in known
        return DifferenceKind.MISSING if knows_rejected else DifferenceKind.NEWLY_VALID
    if after.role not in known:
        return DifferenceKind.IDENTICAL
    # Other rules may have dropped it, which leaves no output.
    if after.role is Role.OTHER:
        return DifferenceKind.NEWLY_FORWARDED
    return (
        DifferenceKind.NEWLY_INVALID
        if after.reason == Reason.UNSUPPORTED_TYPE
        else DifferenceKind.MISSING
    )
