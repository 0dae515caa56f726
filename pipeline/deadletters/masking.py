"""Personal data hidden: what the desk shows on terminals and writes into documents by default.

Hidden are e-mail and IP addresses wherever they stand, and every value of traits. Names of members
stay, and so does the form of a value, so that a broken record can still be understood.
"""

from __future__ import annotations

import re
from typing import Any, Final

from pipeline.core.decode import decode
from pipeline.core.encode import encode_json
from pipeline.core.reasons import Invalid

HIDDEN: Final = "***"
_DEEPEST: Final = 512
_TRAITS: Final = "traits"
_IP: Final = "ip"
_EMAIL: Final = re.compile(r"[^\s@\"'<>,;:()\[\]{}]{1,256}@[^\s@\"'<>,;:()\[\]{}]{1,255}")
_IPV4: Final = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
_IPV6: Final = re.compile(
    r"(?<![0-9A-Fa-f:.])(?=(?:[0-9A-Fa-f]*:){2})(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}"
    r"(?![0-9A-Fa-f:])"
)


def mask(text: str) -> str:
    """The text without e-mail and IP addresses. Times such as `10:00:02` stay."""
    text = _EMAIL.sub(HIDDEN, text) if "@" in text else text
    text = _IPV4.sub(HIDDEN, text) if text.count(".") >= 3 else text  # noqa: PLR2004  its dots
    return _IPV6.sub(_mask_ipv6, text) if text.count(":") > 1 else text


def _mask_ipv6(match: re.Match[str]) -> str:
    """Eight groups, or fewer with `::`: two colons alone are also in a time of day."""
    found = match[0]
    full = found.count(":") == 7  # noqa: PLR2004  eight groups
    return HIDDEN if full or ("::" in found and len(found) > 2) else found  # noqa: PLR2004  "::"


def masked_event(value: Any) -> Any:  # noqa: ANN401  any JSON value
    """A copy of a decoded value; below members `traits` no value is left, `ip` is hidden."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, list):
        return [masked_event(each) for each in value]
    if isinstance(value, dict):
        return {mask(name): _member(name, each) for name, each in value.items()}
    return value


def _member(name: str, value: Any) -> Any:  # noqa: ANN401  any JSON value
    if name == _TRAITS:
        return _hidden(value)
    return HIDDEN if name == _IP and isinstance(value, str) else masked_event(value)


def _hidden(value: Any) -> Any:  # noqa: ANN401  any JSON value
    if isinstance(value, dict):
        return {mask(name): _hidden(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_hidden(each) for each in value]
    return None if value is None else HIDDEN


def masked_value(value: bytes | None) -> bytes | None:
    """A letter's value; text that is no JSON is masked as text, bytes that are no text are gone."""
    if value is None:
        return None
    decoded = decode(value, _DEEPEST)
    if type(decoded) is not Invalid:
        return encode_json(masked_event(decoded))
    try:
        return mask(value.decode()).encode()
    except UnicodeDecodeError:
        return HIDDEN.encode()
