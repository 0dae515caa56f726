"""Masks personal data in dead letters before they are shown or exported.

E-mail and IP addresses are hidden wherever they occur, and so is every value of traits. Names of
members and the structure of a value remain, so that a broken record can still be understood. What
is not JSON is masked as text; there, a value that never ends is hidden up to the end of the text.
"""

from __future__ import annotations

import re
from typing import Final

from pipeline.core.decoded_value import decoded_value
from pipeline.core.encode import encode_json
from pipeline.core.json_value import JsonValue
from pipeline.core.reasons import Invalid

HIDDEN: Final = "***"
_TRAITS: Final = "traits"
_IP: Final = "ip"

_PART: Final = r"[^\s@\"'<>,;:()\[\]{}=&?/%\\|]"
_AT: Final = r"(?:@+|%(?:25)*40|\\+u0040)"
# Possessive, and only from the start of a word, so that a megabyte takes linear time.
_EMAIL: Final = re.compile(rf"(?<!{_PART}){_PART}++{_AT}{_PART}++", re.IGNORECASE)
_IPV4: Final = re.compile(
    # x.0.0.0 is not a host, but the version that browsers report to hide the real one.
    r"(?<!\d)(?<!\d\.)(?!\d+(?:\.0){3}(?!\d))(?:\d{1,3}\.){3}\d{1,3}(?!\d|\.\d)"
)
_IPV6: Final = re.compile(
    r"(?<![\w:.])(?=(?:[0-9A-Fa-f]*:){2})(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])"
)
_TRAITS_IN_TEXT: Final = re.compile(r"\btraits(?:\\*[\"'])?\s*[:=]\s*", re.IGNORECASE)
_TOKEN: Final = re.compile(r"(\\*)([\"'])|[{}\[\]]")
_BARE: Final = re.compile(r"[^\s,;}\]&]*")


def mask(text: str) -> str:
    """The text with e-mail and IP addresses hidden, and the values of traits.

    Times such as `10:00:02` remain.
    """
    if _TRAITS in text.lower():
        text = _without_traits(text)
    if "@" in text or "%" in text or "u0040" in text:
        text = _EMAIL.sub(HIDDEN, text)
    text = _IPV4.sub(HIDDEN, text) if text.count(".") >= 3 else text  # noqa: PLR2004  its dots
    return _IPV6.sub(_mask_ipv6, text) if text.count(":") > 1 else text


def _mask_ipv6(match: re.Match[str]) -> str:
    """Hide eight groups, or fewer with `::`. Two colons alone may be a time of day."""
    found = match[0]
    full = found.count(":") == 7  # noqa: PLR2004  eight groups
    return HIDDEN if full or ("::" in found and len(found) > 2) else found  # noqa: PLR2004  "::"


def _without_traits(text: str) -> str:
    """Hide traits in JSON that is broken, or that is a string within other JSON."""
    pieces, done = [], 0
    for match in _TRAITS_IN_TEXT.finditer(text):
        if match.end() >= done:
            end = _end_of_value(text, match.end())
            pieces += [text[done : match.end()], HIDDEN if end > match.end() else ""]
            done = end
    return "".join([*pieces, text[done:]])


def _end_of_value(text: str, start: int) -> int:
    """Index after the value that begins at `start`; the end of the text if it never ends."""
    if _TOKEN.match(text, start) is None:
        bare = _BARE.match(text, start)
        return start if bare is None else bare.end()
    depth, closes, escapes = 0, "", 0
    for token in _TOKEN.finditer(text, start):
        slashes, quote = len(token[1] or ""), token[2]
        if closes:
            # In JSON within JSON a quote is written \", and one within its text \\\".
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
    """A masked copy of a decoded value: all of `traits`, each `ip`, and addresses in text."""
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
    r"""A masked copy of the value of a dead letter.

    Text that is not JSON is masked as text, and bytes in it that are not UTF-8 are written as
    `\xff`. Text with NULs may have another encoding, in which no pattern matches: it is hidden.
    """
    if value is None:
        return None
    decoded = decoded_value(value)
    if type(decoded) is not Invalid:
        return encode_json(masked_event(decoded))
    return masked_text(value).encode()


def masked_text(value: bytes) -> str:
    """Masked text of a value that must not be decoded as JSON."""
    if b"\0" in value:
        return HIDDEN
    return mask(value.decode(errors="backslashreplace"))
