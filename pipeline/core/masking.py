"""Personal data hidden: what the desk shows on terminals and writes into documents by default.

Hidden are e-mail and IP addresses wherever they stand, and every value of traits. Names of members
stay, and so does the form of a value, so that a broken record can still be understood. What is no
JSON is masked as text, where a value that never ends is hidden to the end.
"""

from __future__ import annotations

import re
from typing import Final

from pipeline.core.decode import decode
from pipeline.core.encode import encode_json
from pipeline.core.json_value import JsonValue
from pipeline.core.reasons import Invalid

HIDDEN: Final = "***"
_DEEPEST: Final = 512
_TRAITS: Final = "traits"
_IP: Final = "ip"

_PART: Final = r"[^\s@\"'<>,;:()\[\]{}=&?/%\\|]"
_AT: Final = r"(?:@+|%(?:25)*40|\\+u0040)"
# Possessive, and only from the start of a word: linear in a megabyte without an end.
_EMAIL: Final = re.compile(rf"(?<!{_PART}){_PART}++{_AT}{_PART}++", re.IGNORECASE)
_IPV4: Final = re.compile(
    # x.0.0.0 is no host, but the version of every browser that hides its real one.
    r"(?<!\d)(?<!\d\.)(?!\d+(?:\.0){3}(?!\d))(?:\d{1,3}\.){3}\d{1,3}(?!\d|\.\d)"
)
_IPV6: Final = re.compile(
    r"(?<![\w:.])(?=(?:[0-9A-Fa-f]*:){2})(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])"
)
_TRAITS_IN_TEXT: Final = re.compile(r"\btraits(?:\\*[\"'])?\s*[:=]\s*", re.IGNORECASE)
_TOKEN: Final = re.compile(r"(\\*)([\"'])|[{}\[\]]")
_BARE: Final = re.compile(r"[^\s,;}\]&]*")


def mask(text: str) -> str:
    """The text without e-mail and IP addresses, and without the values of traits in it.

    Times such as `10:00:02` stay.
    """
    if _TRAITS in text.lower():
        text = _without_traits(text)
    if "@" in text or "%" in text or "u0040" in text:
        text = _EMAIL.sub(HIDDEN, text)
    text = _IPV4.sub(HIDDEN, text) if text.count(".") >= 3 else text  # noqa: PLR2004  its dots
    return _IPV6.sub(_mask_ipv6, text) if text.count(":") > 1 else text


def _mask_ipv6(match: re.Match[str]) -> str:
    """Eight groups, or fewer with `::`: two colons alone are also in a time of day."""
    found = match[0]
    full = found.count(":") == 7  # noqa: PLR2004  eight groups
    return HIDDEN if full or ("::" in found and len(found) > 2) else found  # noqa: PLR2004  "::"


def _without_traits(text: str) -> str:
    """For JSON that is broken, or that stands as text in other JSON."""
    pieces, done = [], 0
    for match in _TRAITS_IN_TEXT.finditer(text):
        if match.end() >= done:
            end = _end_of_value(text, match.end())
            pieces += [text[done : match.end()], HIDDEN if end > match.end() else ""]
            done = end
    return "".join([*pieces, text[done:]])


def _end_of_value(text: str, start: int) -> int:
    """Behind the value that begins there; the end of the text when it does not end."""
    if _TOKEN.match(text, start) is None:
        bare = _BARE.match(text, start)
        return start if bare is None else bare.end()
    depth, closes, escapes = 0, "", 0
    for token in _TOKEN.finditer(text, start):
        slashes, quote = len(token[1] or ""), token[2]
        if closes:
            # In JSON within JSON a quote is written \" and one in its text \\\".
            if quote == closes and slashes % (2 * escapes + 2) == escapes:
                closes = ""
        elif quote:
            closes, escapes = quote, slashes
        else:
            depth += 1 if token[0] in "{[" else -1
        if not closes and depth <= 0:
            return token.end()
    return len(text)


def masked_event(value: JsonValue) -> JsonValue:
    """A copy of a decoded value; below members `traits` no value is left, `ip` is hidden."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, list):
        return [masked_event(each) for each in value]
    if isinstance(value, dict):
        return {mask(name): _member(name, each) for name, each in value.items()}
    return value


def _member(name: str, value: JsonValue) -> JsonValue:
    if name.lower() == _TRAITS:
        return _hidden(value)
    return HIDDEN if name.lower() == _IP and isinstance(value, str) else masked_event(value)


def _hidden(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {mask(name): _hidden(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_hidden(each) for each in value]
    return None if value is None else HIDDEN


def masked_value(value: bytes | None) -> bytes | None:
    r"""A letter's value, masked.

    Text that is no JSON is masked as text. Bytes in it that are no UTF-8 are written as `\xff`;
    what has NULs may be text in another encoding, which no pattern finds, and is hidden.
    """
    if value is None:
        return None
    decoded = decode(value, _DEEPEST)
    if type(decoded) is not Invalid:
        return encode_json(masked_event(decoded))
    return masked_text(value).encode()


def masked_text(value: bytes) -> str:
    """The same of bytes that must not be decoded as JSON."""
    if b"\0" in value:
        return HIDDEN
    return mask(value.decode(errors="backslashreplace"))
