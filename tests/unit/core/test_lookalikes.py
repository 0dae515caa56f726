"""What rejected values look like: a clause for each usual mistake, none for anything else."""

from __future__ import annotations

import base64
import gzip
import json
import urllib.parse
from typing import Final

import pytest
import zstandard

from pipeline.core.lookalikes import looks_like
from tests.hostile import EVENT

TEXT: Final = EVENT.decode()
LONG: Final = json.dumps({"event": "Größe", "userId": "zq9-secret", "a": ["x"] * 200})

LOOKALIKES: Final = {
    "gzip": (gzip.compress(EVENT), "gzip data"),
    "zstd": (zstandard.compress(EVENT), "zstd data"),
    "lz4": (b"\x04\x22\x4d\x18\x64\x40\xa7", "lz4 data"),
    "snappy_frame": (b"\xff\x06\x00\x00sNaPpY\x01", "snappy data"),
    "snappy_of_java": (b"\x82SNAPPY\x00\x00\x00\x00\x01", "snappy data"),
    "avro_single_object": (b"\xc3\x01\x00\x11\x22\x33\x44\x55\x66\x77\x0cCourse", "Avro"),
    "avro_file": (b"Obj\x01\x04\x14avro.codec", "an Avro file"),
    "registry_avro": (b"\x00\x00\x00\x00\x07\x0cCourse\x08u1\xc3", "Avro or Protobuf"),
    "registry_avro_large_id": (b"\x00\x00\x01\x86\xa0\x0cCourse", "Avro or Protobuf"),
    "registry_json": (b"\x00\x00\x00\x00\x07" + EVENT, "JSON behind a Schema Registry's id"),
    "registry_json_id_123": (b"\x00\x00\x00\x00{" + EVENT, "JSON behind a Schema"),
    "utf16": (TEXT.encode("utf-16"), "UTF-16"),
    "utf16_big_endian": (b"\xfe\xff" + TEXT.encode("utf-16-be"), "UTF-16"),
    "utf16_without_mark": (TEXT.encode("utf-16-le"), "UTF-16"),
    "utf16_big_endian_without_mark": (TEXT.encode("utf-16-be"), "UTF-16"),
    "utf32": (TEXT.encode("utf-32"), "UTF-32"),
    "utf32_big_endian": (b"\x00\x00\xfe\xff" + TEXT.encode("utf-32-be"), "UTF-32"),
    "utf32_without_mark": (TEXT.encode("utf-32-le"), "UTF-32"),
    "utf32_big_endian_without_mark": (TEXT.encode("utf-32-be"), "UTF-32"),
    "array": (b"[" + EVENT + b"]", "an array of events"),
    "array_in_lines": (b" [\n  " + EVENT + b"\n]", "an array of events"),
    "encoded_twice": (json.dumps(TEXT).encode(), "an event inside a JSON string"),
    "encoded_twice_in_lines": (
        json.dumps("\n " + json.dumps({"a": 1}, indent=2)).encode(),
        "an event inside a JSON string",
    ),
    "printed_object": (str(json.loads(EVENT)).encode(), "a printed Python or JavaScript object"),
    "xml": (b"<event>Order Completed</event>", "XML or HTML"),
    "html": (b"\n<!doctype html><title>502</title>", "XML or HTML"),
    "form": (b"event=Order+Completed&userId=u1", "form data"),
    "form_of_a_pixel": (b"data=" + base64.b64encode(LONG.encode()), "form data"),
    "form_quoted": (urllib.parse.urlencode({"d[0]": TEXT}).encode(), "form data"),
    "base64": (base64.b64encode(EVENT), "Base64"),
    "base64_long": (base64.b64encode(LONG.encode()), "Base64"),
    "base64_in_lines": (base64.b64encode(b"{\n" + EVENT[1:]), "Base64"),
    "several_lines": (EVENT + b"\r\n" + EVENT, "several events"),
}


@pytest.mark.parametrize(("value", "what"), LOOKALIKES.values(), ids=LOOKALIKES)
def test_usual_mistakes_are_recognised(value: bytes, what: str) -> None:
    """A clause says what the value looks like and what to do."""
    assert looks_like(value).startswith(f"; it looks like {what}")
    assert ": " in looks_like(value)


@pytest.mark.parametrize(("value", "what"), LOOKALIKES.values(), ids=LOOKALIKES)
def test_clauses_are_short(value: bytes, what: str) -> None:
    """A clause leaves room for the detail itself within 200 characters, and quotes nothing."""
    clause = looks_like(value)
    assert what in clause
    assert len(clause) <= 130
    assert "zq9" not in clause


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" ",
        EVENT,
        EVENT[:-1],
        EVENT[:20],
        EVENT + b"x",
        EVENT + b"\n",
        b"{",
        b"[1,2]",
        b'["x"]',
        b"5",
        b"null",
        b'"text"',
        b'"a { b"',
        b"\x00",
        b"\x00" * 64,
        b"\x00\x00\x00\x00\x00{}",
        b"hello, world",
        b"a=b c",
        b"eyes",
        b"\xff\xff",
        b"\xef\xbb\xbf",
        b'{"event":"\xe9"}',
        b'{"a":"a=b&c=d"}',
        b"a < b",
        b'{"a":"\x00"}',
    ],
)
def test_nothing_else_is_recognised(value: bytes) -> None:
    """Other values have no clause: a wrong guess would mislead."""
    assert looks_like(value) == ""


def test_large_values_are_no_obstacle() -> None:
    """Of a large value only the beginning is read, and line breaks are searched once."""
    for part in (b"a=", b"ey", b"[ ", b" ", b"}\n", b"\\n", b"\x00", b'"\\n', b"} ", b"%5B"):
        looks_like(part * 500_000)
        looks_like(b"eyJ" + part * 500_000)
