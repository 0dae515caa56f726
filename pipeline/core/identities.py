"""User ids, anonymous ids and message ids (contract §3 "Ids", §4 `messageId`)."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable
from decimal import Decimal
from itertools import islice
from typing import Final
from uuid import UUID, uuid5

from pipeline.core.enriched_event import OUR_FIELDS
from pipeline.core.json_value import JsonValue

NAMESPACE: Final = UUID("6f0c1d52-9f0e-5d7b-8b7c-3b1a52f6f3a1")
"""UUID namespace of generated ids. A constant of the contract: it never changes."""

_NOTHING: Final = ("undefined", "null", "none", "NaN", "[object Object]")
PLACEHOLDERS: Final = frozenset(
    spelling
    for text in _NOTHING
    for spelling in (text, text.lower(), text.upper(), text.capitalize())
) | {"00000000-0000-0000-0000-000000000000"}
"""Ids that programs write for no id at all: `undefined` and `[object Object]` by JavaScript, `None`
by Python, `NULL` by SQL. All users whose id got lost look like one."""

MAX_ID_DIGITS = 38
_TOO_LONG = 10**MAX_ID_DIGITS

_ID_NAMES: Final = {"userid": "userId", "anonymousid": "anonymousId"}
_MIN_SIMILARITY: Final = 0.85
_MAX_NAME_LENGTH: Final = 32
_MAX_NAMES: Final = 200
"""Number of names that are looked at: a record may consist of nothing else."""
_MAX_COMPARED: Final = 8
"""Number of names that are compared in full, which is slow; few names are close at all."""
_MAX_DISTANCE: Final = 3
"""Number of characters by which the length of a close name may differ, and also the number of its
characters that the right name does not contain."""
_OUR_NAMES: Final = frozenset(OUR_FIELDS)
_OTHER_CHARACTERS: Final = {name: str.maketrans("", "", name) for name in _ID_NAMES}


class Unusable:
    """Type of UNUSABLE, so that type checkers tell it from text."""


UNUSABLE: Final = Unusable()
"""Stands for an id of a type that identifies nobody."""


def read_id(value: JsonValue) -> str | Unusable | None:
    """The id as trimmed text; None when it is not set: absent, null or blank."""
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
    """Whether a number is an integer of at most 38 digits.

    Only its digits are inspected: int(Decimal("1e1000000")) would take half a minute.
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
    """Message id of an event that was sent without one. A replay of the record gives the same id.

    `source` is `topic:partition:offset:index` (see `Origin.message_id_source`), `original` the
    event's own bytes, so that a topic that was deleted and recreated gives other ids.
    """
    return str(uuid5(NAMESPACE, f"{source}:{hashlib.sha256(original).hexdigest()}"))


def identify_message_id(track_message_id: str) -> str:
    """Message id of the identify message that is made from a track event."""
    return str(uuid5(NAMESPACE, track_message_id))


def near_id_name(names: Iterable[str]) -> str:
    """A clause such as `; did you mean userId?`, or "" when no name is close to one of an id.

    Names found in public payloads: user_id, userID, annonymousId, anonymous_id. Only the first
    `_MAX_NAMES` count.
    """
    texts = map(_normalised, islice(names, _MAX_NAMES))
    for text in islice(filter(_may_be_near, texts), _MAX_COMPARED):
        close = difflib.get_close_matches(text, _ID_NAMES, n=1, cutoff=_MIN_SIMILARITY)
        if close:
            return f"; did you mean {_ID_NAMES[close[0]]}?"
    return ""


def _normalised(name: str) -> str:
    """The name in lower case without punctuation; empty for a name that is not a typo."""
    if len(name) > _MAX_NAME_LENGTH or name in _OUR_NAMES:
        return ""
    text = name.lower()
    return text if text.isalnum() else "".join(filter(str.isalnum, text))


def _may_be_near(text: str) -> bool:
    return any(
        abs(len(text) - len(name)) <= _MAX_DISTANCE and len(text.translate(others)) <= _MAX_DISTANCE
        for name, others in _OTHER_CHARACTERS.items()
    )
