"""User ids, anonymous ids and message ids (contract §3 "Ids", §4 `messageId`)."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable
from decimal import Decimal
from itertools import islice
from typing import Final
from uuid import UUID, uuid5

from pipeline.core.json_value import JsonValue

NAMESPACE: Final = UUID("6f0c1d52-9f0e-5d7b-8b7c-3b1a52f6f3a1")
"""Of every id that this program generates. A constant of the contract: never changes."""

MAX_ID_DIGITS = 38
_TOO_LONG = 10**MAX_ID_DIGITS


class Unusable:
    """An id of a type that identifies nobody."""


UNUSABLE: Final = Unusable()


def read_id(value: JsonValue) -> str | Unusable | None:
    """The id as trimmed text; None when it is not set (absent, null, blank)."""
    if type(value) is str:
        return value.strip() or None
    if value is None:
        return None
    if type(value) is int:
        return str(value) if -_TOO_LONG < value < _TOO_LONG else UNUSABLE
    if type(value) is Decimal and _is_short_integer(value):
        return str(int(value))
    return UNUSABLE


def _is_short_integer(value: Decimal) -> bool:
    """Whether it has no fraction and is short enough; looks at digits only.

    Before any arithmetic: int(Decimal("1e1000000")) would take half a minute.
    """
    if not value:
        return True
    _, digits, exponent = value.as_tuple()
    if value.adjusted() >= MAX_ID_DIGITS:
        return False
    if not isinstance(exponent, int):
        return False
    return exponent >= 0 or not any(digits[exponent:])


def generated_message_id(source: str, original: bytes) -> str:
    """The id of an event that came without one: the same for every replay of the same record.

    `source` is `topic:partition:offset:index` (index empty outside batches), `original` the
    event's own bytes as read: a topic that was deleted and created again gives other ids.
    """
    return str(uuid5(NAMESPACE, f"{source}:{hashlib.sha256(original).hexdigest()}"))


def identify_message_id(track_message_id: str) -> str:
    """The id of the identify message that a rule makes from a track event."""
    return str(uuid5(NAMESPACE, track_message_id))


_NAMES: Final = {"userid": "userId", "anonymousid": "anonymousId"}
_CLOSE_ENOUGH: Final = 0.85
_LONGEST: Final = 32
_MOST: Final = 8
"""Names that are compared letter by letter, which is slow; a sender's typo is among so few."""
_FARTHEST: Final = 3
"""A near name has at most so many letters more or less, and so many that the right one has not."""
_OTHER_LETTERS: Final = {name: str.maketrans("", "", name) for name in _NAMES}


def near_id_name(names: Iterable[str]) -> str:
    """A clause such as `; did you mean userId (found user_id)?`, or "" without a near name.

    Found in public payloads: user_id, userID, annonymousId, anonymous_id.
    """
    for plain in islice(filter(_may_be_near, map(_plain, names)), _MOST):
        close = difflib.get_close_matches(plain, _NAMES, n=1, cutoff=_CLOSE_ENOUGH)
        if close:
            return f"; did you mean {_NAMES[close[0]]}?"
    return ""


def _plain(name: str) -> str:
    """Without case and signs; empty for a name that is no typo."""
    if len(name) > _LONGEST or name in _NAMES.values():
        return ""
    plain = name.lower()
    return plain if plain.isalnum() else "".join(filter(str.isalnum, plain))


def _may_be_near(plain: str) -> bool:
    return any(
        abs(len(plain) - len(name)) <= _FARTHEST and len(plain.translate(others)) <= _FARTHEST
        for name, others in _OTHER_LETTERS.items()
    )
