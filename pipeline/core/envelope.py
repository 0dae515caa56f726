"""The body of a batch call: its items, and the fields that they share (contract §2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from msgspec import Raw

from pipeline.core.broken_envelope import find_items
from pipeline.core.decode import read_event, read_repaired, reject_depth, too_deep
from pipeline.core.members import (
    Members,
    RawMember,
    every_member,
    is_empty_array,
    is_null,
    is_object,
    joined,
    kind_of,
    read_items,
    write_object,
)
from pipeline.core.reasons import Invalid, Reason, Stage, Violation

LEVELS: Final = 2
"""Number of objects and arrays around an item."""
_BATCH: Final = "batch"
_MERGED: Final = frozenset({"context", "integrations"})
_INHERITED: Final[tuple[str, ...]] = ("context", "integrations", "sentAt", "receivedAt")


class Envelope(NamedTuple):
    """Body of a batch call, its parts as raw bytes."""

    items: list[bytes]
    before: bytes
    after: bytes
    """Other fields of the envelope: before + item + after is the envelope of a single item."""
    shared: Members
    """Fields that items inherit, of those that are set."""
    changed: Sequence[str] = ()
    """JSON Pointers of strings in them whose halves of surrogate pairs were replaced."""

    def around(self, item: bytes) -> bytes:
        """The envelope with this item only; every value in it has its raw bytes."""
        return self.before + item + self.after

    def merge(self, item: Members) -> None:
        """Add the shared fields to an item; its own take precedence, one level deep.

        A shared `context` or `integrations` that is not an object is passed on as it is, so that
        validation rejects the item instead of losing the value.
        """
        for name, shared in self.shared.items():
            own = item.get(name)
            if own is None or is_null(own):
                item[name] = shared
            elif name in _MERGED:
                item[name] = _merged(own, shared)


def _merged(own: Raw, shared: Raw) -> Raw:
    if is_empty_array(own) or not (is_object(shared) or is_empty_array(shared)):
        return shared
    return joined(shared, own) if is_object(own) and is_object(shared) else own


def split(sent: bytes, max_depth: int) -> Envelope | Invalid:
    """Split the body of a batch call, which is an object with a member `batch`.

    How deep its items are is not known yet.
    """
    members = every_member(sent)
    batches = [number for number, member in enumerate(members) if member.name == _BATCH]
    if len(batches) > 1:
        return _reject(Reason.BATCH_DUPLICATED, "the key batch occurs more than once")
    (cut,) = batches
    batch = members[cut].value
    if kind_of(batch) is not list:
        return _reject(Reason.BATCH_NOT_ARRAY, "batch is not an array")
    items = [bytes(item) for item in read_items(batch)]
    if not items:
        return _reject(Reason.EMPTY_BATCH, "the batch has no items")
    envelope = envelope_of(items, members, cut)
    return too_deep(envelope.around(b""), max_depth) or envelope


def envelope_of(items: list[bytes], members: list[RawMember], cut: int) -> Envelope:
    """The envelope of these items; `members[cut]` is its `batch`."""
    marked = members[cut]._replace(value=Raw(b"[]"))
    around = bytes(write_object([*members[:cut], marked, *members[cut + 1 :]]))
    start = len(write_object([*members[:cut], marked])) - len(b"]}")
    shared = shared_fields({member.name: member.value for member in members})
    return Envelope(items, around[:start], around[start:], shared)


def shared_fields(members: Members) -> Members:
    """The fields that items inherit, of those of an envelope."""
    return {
        name: members[name] for name in _INHERITED if name in members and not is_null(members[name])
    }


def split_unreadable(sent: bytes, max_depth: int, *, repairs: bool) -> Envelope | None:
    """Split the body of a batch call that can't be read because of some of its items.

    Which of them can be read is not known yet. None when it is no such body, or when anything else
    in it can't be read; `repairs` says whether halves of surrogate pairs there are replaced.
    """
    found = find_items(sent)
    if found is None:
        return None
    others = found.before + b"0" + found.after
    members = read_event(others, max_depth)
    changed: list[str] = []
    if type(members) is Invalid and repairs:
        repaired = read_repaired(others, max_depth, members)
        if type(repaired) is not Invalid:
            members, changed = repaired.members, repaired.changed
    if type(members) is Invalid or not is_null(members.get("event")):
        return None
    shared = shared_fields(members)
    # The pointer of a key that is too long to be named is empty.
    named = [each for each in changed if each.removeprefix("/").partition("/")[0] in shared]
    return Envelope(found.items, found.before, found.after, shared, named)


def open_envelope(
    sent: bytes, members: Members, max_depth: int, *, repairs: bool
) -> Envelope | Invalid | None:
    """Split a record that has `members`; None when it is one event, and no batch call."""
    try:
        return split(sent, max_depth) if is_batch(sent, members) else None
    except RecursionError:
        # The interpreter counts the levels of JSON together with its own calls, and there are more
        # of these here than where the record was read: an item is too deep.
        return split_unreadable(sent, max_depth, repairs=repairs) or reject_depth(max_depth)


def is_batch(sent: bytes, members: Members) -> bool:
    """Whether an object is the body of a batch call: it has `batch`, and no `event`.

    With `event` it is one event, unless it has `batch` twice, of which one would be lost.
    """
    if _BATCH not in members:
        return False
    return is_null(members.get("event")) or (
        sum(member.name == _BATCH for member in every_member(sent)) > 1
    )


def _reject(code: Reason, detail: str) -> Invalid:
    return Invalid(Stage.SPLIT, [Violation(code, "", detail)])
