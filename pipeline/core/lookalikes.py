"""What a value that is no event looks like, and what to do about it: for details of rejections.

These are the usual mistakes of the first minute of a new source. A guess changes no outcome.
"""

from __future__ import annotations

import re
from typing import Final

_READ: Final = 256
"""Bytes that are looked at."""

_COMPRESSED: Final = "send it as it is and let the producer compress (compression.type)"
_AVRO: Final = "read it with input.format = auto, or write JSON"
_AVRO_FILE: Final = "write one event per record, as JSON or framed Avro"
_UTF_8: Final = "write it in UTF-8"

_FIRST_BYTES: Final = (
    (b"\x1f\x8b", f"gzip data: {_COMPRESSED}"),
    (b"\x28\xb5\x2f\xfd", f"zstd data: {_COMPRESSED}"),
    (b"\x04\x22\x4d\x18", f"lz4 data: {_COMPRESSED}"),
    (b"\xff\x06\x00\x00sNaPpY", f"snappy data: {_COMPRESSED}"),
    (b"\x82SNAPPY\x00", f"snappy data: {_COMPRESSED}"),
    (b"\xc3\x01", f"Avro: {_AVRO}"),
    (b"Obj\x01", f"an Avro file: {_AVRO_FILE}"),
    (b"\xff\xfe\x00\x00", f"UTF-32 text: {_UTF_8}"),
    (b"\x00\x00\xfe\xff", f"UTF-32 text: {_UTF_8}"),
    (b"\xff\xfe", f"UTF-16 text: {_UTF_8}"),
    (b"\xfe\xff", f"UTF-16 text: {_UTF_8}"),
)
_FORMS: Final = (
    (re.compile(rb"[^\0]\0{3}[^\0]\0{3}|\0{3}[^\0]\0{3}[^\0]"), f"UTF-32 text: {_UTF_8}"),
    (re.compile(rb"[^\0]\0[^\0]\0|\0[^\0]\0[^\0]"), f"UTF-16 text: {_UTF_8}"),
    (
        re.compile(rb"\0(?!\0{4})[\s\S]{4}[{\[\"]"),
        "JSON behind a Schema Registry's id: read it with input.format = auto",
    ),
    (re.compile(rb"\0(?!\0{4})[\s\S]{5}"), f"Avro or Protobuf of a Schema Registry: {_AVRO}"),
    (
        re.compile(rb"\s*\[\s*(?:\{|$)"),
        'an array of events: send one event per record, or a batch call {"batch": […]}',
    ),
    (
        re.compile(rb'\s*"\s*(?:\\[nrt]\s*)*[{\[]'),
        "an event inside a JSON string: it was encoded twice, send the object itself",
    ),
    (
        re.compile(rb"""\s*\{\s*'"""),
        "a printed Python or JavaScript object: encode it as JSON (json.dumps, JSON.stringify)",
    ),
    (re.compile(rb"\s*<[!?A-Za-z]"), "XML or HTML: send the event as JSON"),
    (
        re.compile(rb"e(?:yJ|yA|wk|wo|w0)[\w+/-]*+=*\s*$"),
        "Base64: decode it, and send the JSON itself",
    ),
    (
        re.compile(rb"[\w.%+\[\]-]{1,64}=[^\s\"{}<>]*+$"),
        "form data of a web request: send the event as JSON",
    ),
)
_LINES: Final = re.compile(rb"\}[ \t\r]*\n[ \t\r]*\{")
"""Between events that are a line each."""
_SEVERAL: Final = "several events, a line each: send one event per record"


def looks_like(value: bytes) -> str:
    """What a rejected value looks like and what to do, as a clause that follows a detail.

    It is empty when nothing is recognised. It never quotes the value.
    """
    for first, what in _FIRST_BYTES:
        if value.startswith(first):
            return _clause(what)
    start = value[:_READ]
    for form, what in _FORMS:
        if form.match(start):
            return _clause(what)
    return _clause(_SEVERAL) if _LINES.search(value) else ""


def _clause(what: str) -> str:
    return f"; it looks like {what}"
