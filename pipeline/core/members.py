"""Members of a JSON object as the bytes that they were sent in.

An event is not decoded as a whole. Its members are cut out of the record by the decoder, which
checks that they are well-formed JSON, and most of them go into the enriched event as they are
(contract §1). Only what a rule reads is decoded, by `read_value`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from decimal import Decimal, DecimalException
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
from msgspec import Raw
from mypy_extensions import mypyc_attr

from pipeline.core.encode import encode_json
from pipeline.core.json_value import JsonValue
from pipeline.core.record import new_tuple

Members: TypeAlias = dict[str, Raw]
"""Raw values by name, in the order of the object. Of a repeated name the last one counts."""

NULL: Final = Raw(b"null")
EMPTY_OBJECT: Final = Raw(b"{}")

_WHITE: Final = rb"[ \n\r\t]*"
_KEY: Final = re.compile(
    rb"[ \n\r\t,{]*(\"(?:[^\"\\]++|\\.)*+\")" + _WHITE + b":" + _WHITE, re.DOTALL
)
_KINDS: Final[dict[bytes, type]] = {
    b'"': str,
    b"{": dict,
    b"[": list,
    b"t": bool,
    b"f": bool,
    b"n": type(None),
}
_BACKSLASH: Final = 92
_PER_MEMBER: Final = len('"":,')


def exact_number(text: str) -> Decimal | Raw:
    """A number with all of its digits, or its text when `Decimal` can't hold the exponent."""
    try:
        return Decimal(text)
    except DecimalException:
        return Raw(text.encode())


read_members: Final[Callable[[bytes | Raw], Members]] = msgspec.json.Decoder(Members).decode
"""Members of an object. Raises msgspec.ValidationError for another type of value."""
read_value: Final[Callable[[bytes | Raw], JsonValue]] = msgspec.json.Decoder(
    float_hook=exact_number
).decode
"""One value, exactly. Raises msgspec.ValidationError for an integer of thousands of digits."""
read_items: Final[Callable[[bytes | Raw], list[Raw]]] = msgspec.json.Decoder(list[Raw]).decode
"""Items of an array as raw values. Raises msgspec.ValidationError for another type of value."""
_check: Final[Callable[[bytes | Raw], Raw]] = msgspec.json.Decoder(Raw).decode


@mypyc_attr(native_class=False)
class _Key(str):
    """Key that equals only itself, so that a dict keeps repeated names."""

    __slots__ = ()
    __eq__ = object.__eq__
    __hash__ = object.__hash__


_read_repeated: Final[Callable[[bytes | Raw], dict[_Key, Raw]]] = msgspec.json.Decoder(
    dict[_Key, Raw], dec_hook=str.__new__
).decode


class RawMember(NamedTuple):
    """One member of an object."""

    name: str
    key: bytes
    """The name as it was sent: quoted, with its escapes."""
    value: Raw

    def written(self) -> bytes:
        """The member as JSON."""
        return b"%b:%b" % (self.key, bytes(self.value))


def every_member(sent: bytes) -> list[RawMember]:
    """All members of an object in order, also those whose name occurs again."""
    unique = read_members(sent)
    if _is_compact(sent, unique):
        return [
            new_tuple(RawMember, (name, encode_json(name), value)) for name, value in unique.items()
        ]
    repeated = _read_repeated(sent).items()
    if _BACKSLASH not in sent:  # so there is only one way to write a key
        named = [(str(key), value) for key, value in repeated]
        return [new_tuple(RawMember, (name, encode_json(name), value)) for name, value in named]
    return _with_sent_keys(sent, repeated)


def _is_compact(sent: bytes, unique: Members) -> bool:
    """Whether an object is written in the shortest way, as `encode_json` does.

    A repeated name, white space, an escape and a character that is not ASCII all make it longer.
    """
    size = sum(map(len, unique.values())) + sum(map(len, unique)) + _PER_MEMBER * len(unique) + 1
    return size == len(sent)


def written_without(sent: bytes, left_out: frozenset[str]) -> bytes:
    """The members of an object as JSON, in order and with commas, but for those of some names."""
    unique = read_members(sent)
    if _is_compact(sent, unique):
        return b",".join(
            [
                b"%b:%b" % (encode_json(name), bytes(value))
                for name, value in unique.items()
                if name not in left_out
            ]
        )
    return b",".join(
        [member.written() for member in every_member(sent) if member.name not in left_out]
    )


def may_escape_keys(sent: bytes) -> bool:
    r"""Whether JSON text may spell one of a-z as an escape, such as `\u0072`, perhaps in a key."""
    return _BACKSLASH in sent and (rb"\u006" in sent or rb"\u007" in sent)


def with_value(sent: bytes, key: bytes, old: Raw, new: Raw) -> bytes:
    """An object with another value of one member, all other bytes as they are.

    `key`, in quotes, must occur only once in `sent`, and `old` is its value there.
    """
    # Between a key and its value are only white space and a colon.
    start = sent.index(bytes(old), sent.index(key) + len(key))
    return sent[:start] + bytes(new) + sent[start + len(old) :]


def without_member(sent: bytes, key: bytes, value: Raw) -> bytes:
    """An object without one member, with one comma less; `key` must occur only once in `sent`."""
    start = sent.index(key)
    end = sent.index(bytes(value), start + len(key)) + len(value)
    before, after = sent[:start].rstrip(), sent[end:]
    if before.endswith(b","):
        return before[:-1] + after
    return before + after.lstrip().removeprefix(b",")


def _with_sent_keys(sent: bytes, repeated: Iterable[tuple[str, Raw]]) -> list[RawMember]:
    members = []
    position = 0
    for name, value in repeated:
        match = _KEY.match(sent, position)
        if match is None:
            raise AssertionError  # the decoder has accepted it
        members.append(new_tuple(RawMember, (str(name), match[1], value)))
        position = match.end() + len(value)
    return members


def write_object(members: Iterable[RawMember]) -> Raw:
    """An object of these members."""
    return Raw(b"{" + b",".join([member.written() for member in members]) + b"}")


def joined(first: Raw, second: Raw) -> Raw:
    """One object with the members of both; where both have a name, the second one's count.

    Only one level deep. The second object's members remain exactly as they are.
    """
    names = read_members(second)
    if not names:
        return first
    kept = [member for member in every_member(bytes(first)) if member.name not in names]
    if not kept:
        return second
    return Raw(
        b"{" + b",".join([member.written() for member in kept]) + b"," + bytes(second).lstrip()[1:]
    )


def kind_of(value: Raw) -> type:
    """The type of a raw value as Python has it: str, dict, list, bool, NoneType, or int."""
    return _KINDS.get(bytes(value)[:1], int)


def is_object(value: Raw) -> bool:
    """Whether a raw value is an object."""
    return kind_of(value) is dict


def is_empty(value: Raw) -> bool:
    """Whether a raw object or array has no members."""
    return not bytes(value)[1:-1].strip()


def is_empty_array(value: Raw) -> bool:
    """Whether a raw value is `[]`."""
    return kind_of(value) is list and is_empty(value)


def is_null(value: Raw | None) -> bool:
    """Whether a member is absent or null."""
    return value is None or value == NULL


def decoded(members: Members) -> dict[str, Any]:
    """The members as decoded values, for reports; a number that can't be read stays raw."""
    return {name: read_any_value(value) for name, value in members.items()}


def read_any_value(value: bytes | Raw) -> JsonValue:
    """One value, for reports; a number that can't be read stays raw. Raises DecodeError."""
    try:
        return read_value(value)
    except msgspec.ValidationError:
        _check(value)
        text = bytes(value).decode()
        return json.loads(text, parse_int=_any_integer, parse_float=exact_number)


def _any_integer(text: str) -> int | Raw:
    try:
        return int(text)
    except ValueError:
        return Raw(text.encode())
