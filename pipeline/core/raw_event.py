"""What the rules read inside of `properties` and `context`: the decoder skips everything else.

The decoder checks the types of context's fields on its way. It raises msgspec.ValidationError when
one differs, or when the value is no object at all: the rules then look at it member by member.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

ABSENT: Final = Raw()
"""Stands for a member that does not occur. It is false; a value that was sent is true."""


class _AnyObject(Struct, gc=False):
    """An object; its members are skipped."""


CONTEXT_TYPES: Final[dict[str, type]] = {
    "active": bool,
    "app": dict,
    "campaign": dict,
    "channel": str,
    "device": dict,
    "groupId": str,
    "ip": str,
    "library": dict,
    "locale": str,
    "network": dict,
    "os": dict,
    "page": dict,
    "referrer": dict,
    "screen": dict,
    "timezone": str,
    "traits": dict,
    "userAgent": str,
    "userAgentData": dict,
}
"""Types of the fields of `context`, from Segment's "Spec: Track"."""


class ContextFields(Struct, gc=False):
    """Fields of `context`, as far as the rules read them."""

    traits: Raw = ABSENT
    """User traits, which may be of any type: the rules decide."""
    query_parameters: Raw = ABSENT
    """Query of the request, where a gateway puts it."""


NO_CONTEXT: Final = ContextFields()


_DECODED_TYPES: Final[dict[type, Any]] = {
    bool: bool | None,
    str: str | None,
    dict: _AnyObject | None,
}
_TypedContextFields: Final[type[Any]] = msgspec.defstruct(
    "_TypedContextFields",
    [
        (name, _DECODED_TYPES[kind], None)
        for name, kind in CONTEXT_TYPES.items()
        if name != "traits"
    ],
    bases=(ContextFields,),
    gc=False,
)


class ReservedMembers(Struct, gc=False):
    """Members of `properties` that a rule reads, in every spelling."""

    revenue: Raw = ABSENT
    value: Raw = ABSENT
    currency: Raw = ABSENT
    Revenue: Raw = ABSENT
    REVENUE: Raw = ABSENT
    Value: Raw = ABSENT
    VALUE: Raw = ABSENT
    Currency: Raw = ABSENT
    CURRENCY: Raw = ABSENT


NO_RESERVED: Final = ReservedMembers()

read_context: Final[Callable[[bytes | Raw], ContextFields]] = msgspec.json.Decoder(
    _TypedContextFields
).decode
read_reserved: Final[Callable[[bytes | Raw], ReservedMembers]] = msgspec.json.Decoder(
    ReservedMembers
).decode
