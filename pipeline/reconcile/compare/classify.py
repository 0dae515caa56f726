"""One raw record: what the rules make of it against what is in the topics. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from pipeline.core.coordinates import NO_ITEM
from pipeline.core.headers import DlqHeader
from pipeline.core.origin import Origin, sender_headers
from pipeline.core.reasons import DocumentedEnum, Reason
from pipeline.core.record import Headers, Output, Role
from pipeline.reconcile.audit.expect import item_of
from pipeline.reconcile.outputs import REDRIVEN, Found, print_of


class Kind(DocumentedEnum):
    """How a result and what is there for its event compare; each has a meaning for people."""

    IDENTICAL = "identical", "the same event, or refused for the same reasons"
    CHANGED = "changed", "enriched before and now, with other contents"
    NEWLY_VALID = "newly-valid", "was refused, is enriched now"
    NEWLY_INVALID = "newly-invalid", "was enriched, is refused now"
    OTHER_REASON = "other-reason", "refused before and now, for other reasons"
    NEWLY_DROPPED = "newly-dropped", "was there, is dropped now by a setting"
    MISSING = "missing", "should be there, and is not"
    WITHOUT_RAW = "without-raw", "is there, but no raw event gives it"
    REDRIVEN = "redriven", "a redrive wrote it, repaired perhaps; the raw event gives another one"


DIFFERENT: Final = tuple(kind for kind in Kind if kind not in {Kind.IDENTICAL, Kind.REDRIVEN})
"""What a redrive has written is what counts: the raw topic does not hold its repair."""


class Made(NamedTuple):
    """What the rules make of one event."""

    item: int
    """Index in a batch, or NO_ITEM."""
    role: Role
    print: bytes
    """See `comparable`."""
    number: int
    """Among the record's outputs."""
    reason: str


class Pair(NamedTuple):
    """One event: what is there for it, and what the rules make of it now."""

    kind: Kind
    item: int
    before: Found | None
    after: Made | None


def comparable(role: Role, value: bytes | None, key: bytes | None, headers: Headers) -> bytes:
    """What must be equal: of events all but our own headers, of letters the reasons.

    A letter's value is the raw one, whatever the rules are. Our headers tell when, by whom and
    under which contract something was written.
    """
    if role is Role.DEAD_LETTER:
        return ",".join(_reasons(headers)).encode()
    return print_of(role, value, key, sender_headers(headers))


class _Reason(msgspec.Struct):
    code: str = ""
    pointer: str = ""


_read_reasons: Final = msgspec.json.Decoder(list[_Reason]).decode


def _reasons(headers: Headers) -> Iterator[str]:
    """Code and place of each violation; the first reason alone where they can't be read."""
    found = {name: value for name, value in headers if value is not None}
    try:
        for each in _read_reasons(found.get(DlqHeader.REASONS, b"")):
            yield f"{each.code} {each.pointer}".rstrip()
    except (msgspec.MsgspecError, ValueError):
        yield found.get(DlqHeader.REASON, b"").decode(errors="replace")


def first_reason(print_: bytes) -> str:
    """The code of the first reason in a letter's print."""
    return print_.decode(errors="replace").partition(",")[0].partition(" ")[0]


def made_of(origin: Origin, outputs: Sequence[Output]) -> list[Made]:
    """The events of a record; identify messages are not compared."""
    base = origin._replace(item=None).source().encode()
    own = NO_ITEM if origin.item is None else origin.item
    events: list[Made] = []
    for number, (role, value, key, headers, _, _, reason) in enumerate(outputs):
        if role is Role.DROPPED:
            # It carries no coordinates: its place in the batch is its turn.
            item = own if len(outputs) == 1 else len(events)
            events.append(Made(item, role, b"", number, reason))
        elif role is not Role.IDENTIFY:
            made = comparable(role, value, key, headers)
            events.append(Made(item_of(outputs[number], base), role, made, number, reason))
    return events


def in_force(rows: Iterable[Found]) -> dict[int, Found]:
    """Item → what counts as there for it.

    An enriched event rather than a letter, since a letter that was sent again stays where it is;
    of several the last one.
    """
    found: dict[int, Found] = {}
    for row in rows:
        if row.item not in found or _rank(found[row.item]) < _rank(row):
            found[row.item] = row
    return found


def _rank(row: Found) -> tuple[bool, int, int]:
    return row.role == Role.ENRICHED, row.out_offset, row.out_partition


def judge(events: Sequence[Made], rows: Sequence[Found], *, knows_letters: bool) -> Iterator[Pair]:
    """Pair a record's events with its rows.

    Without `knows_letters` only the enriched topic is looked at: what is not there may have been
    refused. A letter of a whole record stands for each of its events.
    """
    if len(events) == 1 and len(rows) == 1:
        # What almost every record is.
        (after,), (row,) = events, rows
        if after.item == row.item and after.role == row.role and after.print == row.print:
            yield Pair(Kind.IDENTICAL, after.item, row, after)
            return
    there = in_force(rows)
    whole = there.get(NO_ITEM)
    whole = whole if whole is not None and whole.role == Role.DEAD_LETTER else None
    taken: set[int] = set()
    for after in events:
        before = there.get(after.item)
        if before is None and after.item != NO_ITEM:
            before = whole
        if before is None and after.item == NO_ITEM and after.role != Role.ENRICHED and there:
            continue  # it stands for items, below
        if before is not None:
            taken.add(before.item)
        yield Pair(_kind(before, after, knows_letters=knows_letters), after.item, before, after)
    alone = next((each for each in events if each.item == NO_ITEM), None)
    for item, before in there.items():
        if item not in taken:
            stands = item != NO_ITEM and alone is not None and alone.role != Role.ENRICHED
            after_all = alone if stands else None
            kind = _kind(before, after_all, knows_letters=knows_letters)
            yield Pair(kind, item, before, after_all)


def _kind(before: Found | None, after: Made | None, *, knows_letters: bool) -> Kind:
    if before is None:
        return _kind_of_absent(after, knows_letters=knows_letters)
    if _is_equal(before, after):
        return Kind.IDENTICAL
    if before.marks & REDRIVEN:
        return Kind.REDRIVEN
    return Kind.WITHOUT_RAW if after is None else _kind_of_change(before, after)


def _kind_of_change(before: Found, after: Made) -> Kind:
    if after.role is Role.DROPPED:
        return Kind.NEWLY_DROPPED
    if before.role != after.role:
        return Kind.NEWLY_VALID if after.role is Role.ENRICHED else Kind.NEWLY_INVALID
    return Kind.CHANGED if after.role is Role.ENRICHED else Kind.OTHER_REASON


def _is_equal(before: Found, after: Made | None) -> bool:
    return after is not None and (before.role, before.print) == (after.role, after.print)


def _kind_of_absent(after: Made | None, *, knows_letters: bool) -> Kind:
    if after is None:
        return Kind.WITHOUT_RAW
    if after.role is Role.DROPPED:
        return Kind.IDENTICAL
    if after.role is Role.ENRICHED:
        return Kind.MISSING if knows_letters else Kind.NEWLY_VALID
    if not knows_letters:
        return Kind.IDENTICAL
    # Other rules may have dropped it, which leaves nothing.
    return Kind.NEWLY_INVALID if after.reason == Reason.UNSUPPORTED_TYPE else Kind.MISSING
