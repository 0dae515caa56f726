"""What letters can be grouped by: what each one says about itself, or a value in its payload."""

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
from pipeline.dlq.message_pattern import fold

HOUR_MS: Final = 60 * MINUTE
_LONGEST: Final = 80
_HOUR_LENGTH: Final = len("2026-11-23T02")
_PERSONAL: Final = "traits"
_PERSONAL_MEMBER: Final = "ip"


class Dimension(NamedTuple):
    """One way to group."""

    name: str
    """As it is asked for: `reason`, …, or a JSON Pointer."""
    read: Callable[[DeadLetter], str]
    """What a letter has; empty for nothing."""
    headers: tuple[DlqHeader, ...] = ()
    """Of our own letters these alone decide it; none when something else does, too."""

    def masked(self, value: str) -> str:
        """A value of it without personal data."""
        if self.name.startswith("/") and not value.startswith("("):
            steps = [step.lower() for step in tokens(self.name)]
            if _PERSONAL in steps or steps[-1] == _PERSONAL_MEMBER:
                return HIDDEN
        return mask(value)


def dimension(name: str) -> Dimension:
    """The dimension of a name; ValueError when there is none of this name."""
    if name.startswith("/"):
        tokens(name)
        return Dimension(name, partial(_payload, pointer=name))
    if name not in _NAMED:
        names = ", ".join(NAMES)
        raise ValueError(f"{name!r} is none of {names}, and no JSON Pointer such as /context/ip")
    return _NAMED[name]


def _detail(letter: DeadLetter) -> str:
    return fold(letter.problems[0].detail)


def _pointer(letter: DeadLetter) -> str:
    return letter.problems[0].pointer


def _source(letter: DeadLetter) -> str:
    """Topic and partition: a whole coordinate is there once only."""
    source = letter.source
    return "" if source is None else f"{source.topic}/{source.partition}"


def _hour(letter: DeadLetter) -> str:
    at = letter.failed_at
    return f"{format_time(at)[:_HOUR_LENGTH]}:00Z" if at else ""


def _payload(letter: DeadLetter, pointer: str) -> str:
    # What has killed a process is not decoded in this one.
    event = None if letter.stage == Stage.CRASH else letter.event_object
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
"""Of all dimensions but the payload's."""
