"""Makes new records of known ones: damaged bytes, swapped values, repeated names, odd spellings."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from typing import Final

from tests.unit.core.values import ROWS

_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|[A-Za-z]+|[\[\]{}:,]', re.DOTALL)
_NAME: Final = re.compile(rb'"(?:[^"\\]|\\.)*"(?=\s*:)', re.DOTALL)
_MOST_BYTES: Final = 20_000
"""Larger records are slow to process, and hold nothing that smaller ones do not."""
_MOST_TEXT: Final = 100
_SPACES: Final = (b" ", b"\n", b"\t", b"\r\n", b"  ", b"\x0b", b"\x00", b"\xef\xbb\xbf", b"\xa0")

NAMES: Final = tuple(
    rb"""
type event action messageId userId anonymousId timestamp originalTimestamp sentAt receivedAt
properties traits context integrations enrichment writeKey write_key WriteKey batch user_id unknown
revenue value currency Revenue VALUE products ip library network active name version url page
query_parameters currencyDefaulted
\u0065vent conte\u0078t reven\u0075e bat\u0063h \ud800 writeKe\u0079
""".split()
)
"""Names of members, as they are written between quotes."""
_ODD: Final = rb"""
null true [] {} "" 0 -0 -0.0 1e3 1E400 1.10 NaN -Infinity 01 1. 1e99999999999999999999
"\ud800" "\ud83d\ude00" "\udc00x" "\u000a" "\/" "\\ud800" "\\\ud800" "\x" "\u00e9"
{"a":1,"a":2} {"a":1,"\u0061":2} {"traits":{"a":1}} {"writeKey":"k"} [{"currency":"EUR"}]
{"revenue":5,"revenue":"6"} {"currency":"EUR","c\u0075rrency":"USD","revenue":1} {"\ud800":1}
"Track" "page" "undefined" "XXX" "TRL" "eur" "00420" "1234567890123456" "$5" "1,5" 1449947461249000
"0001-01-01T00:00:00Z" "9999-12-31T23:59:59Z" "https://example.com/?writeKey=k" {"writeKey":{}}
{"query_parameters":{"writeKey":"k","a":1}} [1,[2,{"b":[]}]]
""".split()
_MADE: Final = (
    *(b'" "', b'" track"', b'"Sat, 12 Dec 2015 19:11:01 GMT"', b'"\xff"', b'"\xed\xa0\x80"'),
    *(b'"\xe2\x82\xac"', b'"a\nb"', b'"\x7f"', b"9" * 20, b"9" * 5_000, b"0." + b"1" * 5_000),
    *(b"[" * 600, b"[" * 10 + b"]" * 10, b'{"a":' * 520 + b"1" + b"}" * 520, b'{ "a" :\n[ 1 ]\t}'),
)
VALUES: Final = tuple(
    dict.fromkeys(
        (*_ODD, *_MADE, *(row.sent.encode() for row in ROWS if len(row.sent) < _MOST_TEXT))
    )
)

Mutation = Callable[[Random, bytes, bytes], bytes]
"""A new value of a value; the second one is another record to take parts from."""


def _tokens(value: bytes) -> list[re.Match[bytes]]:
    return list(_TOKEN.finditer(value))


def _place(dice: Random, value: bytes) -> tuple[int, int]:
    """Where a token is; where a byte is when there is no token."""
    found = _tokens(value)
    if found:
        return dice.choice(found).span()
    at = dice.randrange(len(value) + 1)
    return at, min(at + 1, len(value))


def _put(value: bytes, span: tuple[int, int], part: bytes) -> bytes:
    return value[: span[0]] + part + value[span[1] :]


def _other_value(dice: Random, value: bytes, _: bytes) -> bytes:
    return _put(value, _place(dice, value), dice.choice(VALUES))


def _other_name(dice: Random, value: bytes, _: bytes) -> bytes:
    names = list(_NAME.finditer(value))
    return _put(value, dice.choice(names).span(), b'"%s"' % dice.choice(NAMES)) if names else value


def _more_members(dice: Random, value: bytes, _: bytes) -> bytes:
    """One more member at the start of an object or behind the end of a value."""
    member = b'"%s":%s' % (dice.choice(NAMES), dice.choice(VALUES))
    opened = [match.end() for match in _tokens(value) if match[0] == b"{"]
    closed = [match.start() for match in _tokens(value) if match[0] == b"}"]
    if opened and dice.random() < 0.5:
        at = dice.choice(opened)
        return _put(value, (at, at), member + b",")
    if not closed:
        return value
    at = dice.choice(closed)
    return _put(value, (at, at), b"," + member)


def _other_token(dice: Random, value: bytes, other: bytes) -> bytes:
    """A token of another record."""
    start, end = _place(dice, other)
    return _put(value, _place(dice, value), other[start:end])


def _without_token(dice: Random, value: bytes, _: bytes) -> bytes:
    return _put(value, _place(dice, value), b"")


def _repeated_part(dice: Random, value: bytes, _: bytes) -> bytes:
    (start, _end), (_start, end) = sorted((_place(dice, value), _place(dice, value)))
    return _put(value, (end, end), value[start:end])


def _spaced(dice: Random, value: bytes, _other: bytes) -> bytes:
    """White space, or nearly so, before a token."""
    start, _end = _place(dice, value)
    return _put(value, (start, start), dice.choice(_SPACES))


def _spelled_with_escape(dice: Random, value: bytes, _: bytes) -> bytes:
    r"""A character of a text as \u00.."""
    texts = [match for match in _tokens(value) if re.fullmatch(rb'"[ -~]+"', match[0])]
    if not texts:
        return value
    text = dice.choice(texts)
    at = dice.randrange(text.start() + 1, max(text.end() - 1, text.start() + 2))
    return _put(value, (at, at + 1), b"\\u%04x" % value[at])


def _damaged(dice: Random, value: bytes, _: bytes) -> bytes:
    at = dice.randrange(len(value) + 1)
    return _put(value, (at, at + dice.randrange(3)), dice.randbytes(dice.randrange(3)))


def _cut(dice: Random, value: bytes, _: bytes) -> bytes:
    return value[: dice.randrange(len(value) + 1)]


def _spliced(dice: Random, value: bytes, other: bytes) -> bytes:
    return value[: _place(dice, value)[0]] + other[_place(dice, other)[0] :]


def _in_batch(_: Random, value: bytes, other: bytes) -> bytes:
    return b'{"batch":[%s,%s],"context":{"ip":"::1"}}' % (value, other)


_MUTATIONS: Final[tuple[tuple[int, Mutation], ...]] = (
    (8, _other_value),
    (4, _other_name),
    (8, _more_members),
    (4, _other_token),
    (2, _without_token),
    (2, _repeated_part),
    (3, _spaced),
    (4, _spelled_with_escape),
    (2, _damaged),
    (1, _cut),
    (1, _spliced),
    (2, _in_batch),
)


def mutated(dice: Random, value: bytes, other: bytes) -> bytes:
    """A new record of two known ones, changed in one to four places."""
    weights = [weight for weight, _ in _MUTATIONS]
    for _ in range(dice.randint(1, 4)):
        ((_, mutation),) = dice.choices(_MUTATIONS, weights)
        new = mutation(dice, value, other)
        value = new if len(new) <= _MOST_BYTES else value
    return value
