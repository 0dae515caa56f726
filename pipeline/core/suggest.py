"""ID field names that people write when they mean userId or anonymousId."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_NAMES = {"userid": "userId", "anonymousid": "anonymousId"}
_CLOSE_ENOUGH = 0.85
_LONGEST = 32


def near_id_name(names: Iterable[str]) -> str:
    """A clause such as `; did you mean userId (found user_id)?`, or "" without a near name.

    Found in public payloads: user_id, userID, annonymousId, anonymous_id.
    """
    for name in names:
        if len(name) > _LONGEST or name in _NAMES.values():
            continue
        plain = "".join(character for character in name.lower() if character.isalnum())
        close = difflib.get_close_matches(plain, _NAMES, n=1, cutoff=_CLOSE_ENOUGH)
        if close:
            return f"; did you mean {_NAMES[close[0]]}?"
    return ""
