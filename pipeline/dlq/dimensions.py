"""Dimensions that dead letters can be grouped by: facts in headers, or values in the event."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import Final, NamedTuple

from pipeline.core.escape import short_json
from pipeline.core.headers import DlqHeader
from pipeline.core.json_pointer import ABSENT, find, tokens
from pipeline.core.masking import HIDDEN, mask
from pipeline.core.reasons import Stage
from pipeline.core.timestamps import MINUTE, format_time
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.message_pattern import to_pattern

HOUR_MS: Final = 60 * MINUTE
_LONGEST: Final = 80
_HOUR_LENGTH: Final = len("2026-11-23T02")
_PERSONAL: Final = "traits"
_PERSONAL_MEMBER: Final = "ip"


class Dimension(NamedTuple):
    """One way to group dead letters."""

    name: str
    """Name of the dimension, such as `reason`, or a JSON Pointer."""
    read: Callable[[DeadLetter], str]
    """Reads the value of a dead letter; empty for none."""
    headers: tuple[DlqHeader, ...] = ()
    """Headers that alone decide on the value of our own dead letters; empty if others do, too."""

    def masked(self, value: str) -> str:
        """Mask personal data in a value of this dimension."""
        if self.name.startswith("/") and not value.startswith("("):
            steps = [step.lower() for step in tokens(self.name)]
            if _PERSONAL in steps or steps[-1] == _PERSONAL_MEMBER:
                return HIDDEN
        return mask(value)


def dimension(name: str) -> Dimension:
    """Find the dimension of a name; raises ValueError for an unknown name."""
    if name.startswith("/"):
        tokens(name)
        return Dimension(name, partial(_payload, pointer=name))
    if name not in _NAMED:
        names = ", ".join(NAMES)
        raise ValueError(f"{name!r} is none of {names}, and no JSON Pointer such as /context/ip")
    return _NAMED[name]


def _detail(dead_letter: DeadLetter) -> str:
    return to_pattern(dead_letter.problems[0].detail)


def _pointer(dead_letter: DeadLetter) -> str:
    return dead_letter.problems[0].pointer


def _source(dead_letter: DeadLetter) -> str:
    """Topic and partition; complete coordinates would be different for each dead letter."""
    source = dead_letter.source
    return "" if source is None else f"{source.topic}/{source.partition}"


def _hour(dead_letter: DeadLetter) -> str:
    at = dead_letter.failed_at
    return f"{format_time(at)[:_HOUR_LENGTH]}:00Z" if at else ""


def _payload(dead_letter: DeadLetter, pointer: str) -> str:
    # What killed a process is not decoded in this one.
    event = None if dead_letter.stage == Stage.CRASH else dead_letter.event_object
    # JSON never begins with a parenthesis.
    if event is None:
        return "(unreadable)"
    value = find(event, pointer)
    if value is ABSENT:
        return "(absent)"
    if type(value) in {dict, list}:
        return "(object)" if type(value) is dict else "(array)"
    return short_json(value, _LONGEST)


_NAMED: Final = {
    each.name: each
    for each in (
        Dimension("reason", attrgetter("reason"), (DlqHeader.REASON,)),
        Dimension("event", attrgetter("event"), (DlqHeader.EVENT,)),
        Dimension("library", attrgetter("library"), (DlqHeader.LIBRARY,)),
        Dimension("stage", attrgetter("stage"), (DlqHeader.STAGE,)),
        Dimension("source", _source),
        Dimension("pointer", _pointer, (DlqHeader.REASONS,)),
        Dimension("hour", _hour),
        Dimension("detail", _detail, (DlqHeader.REASONS,)),
    )
}
NAMES: Final = tuple(_NAMED)
"""Names of all dimensions but those of the event's members."""
