"""The calls of tracking APIs besides track, and how an event names its call (contract §3)."""

from __future__ import annotations

from typing import Final, NamedTuple

from msgspec import Raw

from pipeline.core.members import Members, is_null, kind_of, read_value
from pipeline.core.money import is_set

TRACK_CALL: Final = Raw(b'"track"')
"""`type` of a track call, as it is usually sent."""
OTHER_CALLS: Final = frozenset({"page", "screen", "identify", "group", "alias"})
"""The calls that `on_other_type` may drop or forward. Any other name is rejected: it may be a track
call that is misspelt."""


class CallField(NamedTuple):
    """The field that says which call an event is."""

    pointer: str
    """JSON Pointer to it."""
    value: Raw | None
    """Its value; None when the event does not say what it is."""


def call_of(members: Members) -> CallField:
    """Find `type`, or else a string `action` (Intilery's older form)."""
    sent = members.get("type")
    if sent is not None and not is_null(sent) and not _is_blank(sent):
        return CallField("/type", sent)
    action = members.get("action")
    if action is None or kind_of(action) is not str or _is_blank(action):
        return CallField("/type", None)
    return CallField("/action", action)


def _is_blank(sent: Raw) -> bool:
    return kind_of(sent) is str and not is_set(read_value(sent))


def is_other_call(members: Members) -> bool:
    """Whether the event says that it is one of OTHER_CALLS, whatever the case."""
    sent = call_of(members).value
    if sent is None or sent == TRACK_CALL or kind_of(sent) is not str:
        return False
    return str(read_value(sent)).strip().lower() in OTHER_CALLS
