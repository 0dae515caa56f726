"""Write keys, the credentials of sources, where a sender has put them (contract §4 `writeKey`)."""

from __future__ import annotations

import re
from typing import Any, Final

from msgspec import Raw

from pipeline.core.json_pointer import escape_name
from pipeline.core.json_value import JsonValue
from pipeline.core.members import every_member, is_object, read_members, write_object

WRITE_KEY_NAMES: Final = frozenset({"writeKey", "write_key", "WriteKey"})
"""Names of a member that holds a write key."""

_PARAMETER: Final = re.compile(r"[?&]writeKey=")
_QUERY: Final = "query_parameters"
_QUESTION_MARK: Final = ord("?")
_Step = tuple[Any, str, JsonValue]
"""A value inside an event: the step to its parent or None, its escaped name or index, and itself.

A type that refers to itself would stop the compiler of the core.
"""


def without_write_key(context: Raw) -> Raw:
    """The context without the write keys in `query_parameters`, be it sent once or repeatedly."""
    members = every_member(bytes(context))
    kept = [
        member._replace(value=_without_keys(member.value)) if member.name == _QUERY else member
        for member in members
    ]
    return context if kept == members else write_object(kept)


def _without_keys(query: Raw) -> Raw:
    if not is_object(query) or WRITE_KEY_NAMES.isdisjoint(read_members(query)):
        return query
    parameters = every_member(bytes(query))
    return write_object(member for member in parameters if member.name not in WRITE_KEY_NAMES)


def may_have_url_with_key(event: bytes) -> bool:
    """Whether the bytes of an event may contain a URL with a write key.

    Few events have a question mark at all, and a single byte is found much faster than a word.
    """
    start = event.find(_QUESTION_MARK)
    return start >= 0 and event.find(b"writeKey=", start) >= 0


def url_with_key(document: JsonValue) -> str:
    """JSON Pointer of the first text with a write key in the query of a URL; "" without one."""
    steps: list[_Step] = [(None, "", document)]
    while steps:
        step = steps.pop()
        value = step[2]
        if type(value) is str:
            if _is_url_with_key(value):
                return _pointer(step)
        elif type(value) is dict:
            steps += [(step, escape_name(name), value[name]) for name in reversed(value)]
        elif type(value) is list:
            steps += [(step, str(at), value[at]) for at in reversed(range(len(value)))]
    return ""


def _is_url_with_key(text: str) -> bool:
    query = text.find("?")
    return query >= 0 and _PARAMETER.search(text, query) is not None


def _pointer(step: _Step) -> str:
    names = []
    parent: _Step | None = step
    while parent is not None:
        parent, name, _ = parent
        names.append(name)
    return "/".join(reversed(names))
