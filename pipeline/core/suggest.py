"""ID field names that people write when they mean userId or anonymousId."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import islice
from typing import Final

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
