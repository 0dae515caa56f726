"""Personal data is masked before it is shown or written; all else stays."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from pipeline.core.masking import HIDDEN, mask, masked_event, masked_value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from ann@example.com.", "from ***"),
        ("mailto:ann.b+c@example.co.uk?subject=x", "mailto:***?subject=x"),
        ("https://example.com/?e=ann%40example.com&y=1", "https://example.com/?e=***&y=1"),
        ("https://example.com/?e=ann%2540example.com", "https://example.com/?e=***"),
        (r"ann\u0040example.com", "***"),
        ("a@b, c@d", "***, ***"),
        ("at 10.0.0.1.", "at ***."),
        ("10.0.0.1:8080/x", "***:8080/x"),
        ("on 192.168.1.20/a", "on ***/a"),
        ("2001:db8::1", "***"),
        ("::1 and fe80::1ff:fe23:4567:890a", "*** and ***"),
        ("1:2:3:4:5:6:7:8", "***"),
        ("::ffff:10.1.2.3", "******"),
    ],
)
def test_addresses_are_masked_in_text(text: str, expected: str) -> None:
    """E-mail and IP addresses are masked in texts and in URLs of pages."""
    assert mask(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T10:00:02.123Z",
        "10:00:02",
        "Chrome/131.0.0.0 Safari/537.36",
        "1.2.3.4.5",
        "std::string",
        "@segment/analytics-node/2.2.1",
        "currency is not a code of ISO 4217 (three letters, such as EUR)",
        "100 % of 5",
        "traits",
        "",
    ],
)
def test_other_text_is_kept(text: str) -> None:
    """Times, versions and plain sentences are kept."""
    assert mask(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"traits":{"name":"Ann"},"event":"A"', '{"traits":***,"event":"A"'),
        ('{"traits": {"name":"Ann","age":', '{"traits": ***'),
        ('{"traits":{"a":"}","b":"\\"}x"},"c":1', '{"traits":***,"c":1'),
        ('{"traits":{"a":[{"b":{}}]},"c":1', '{"traits":***,"c":1'),
        ("{'traits': {'name': 'Ann'}, 'c': 1}", "{'traits': ***, 'c': 1}"),
        ('{"traits":"Ann","c":1', '{"traits":***,"c":1'),
        ('{"traits":17,"c":1', '{"traits":***,"c":1'),
        ('{"traits":', '{"traits":'),
        ('{"traits":{"traits":{"a":1}},"c":{"traits":{"b":"Ann"}}', None),
        ("traits=Ann&event=A", "traits=***&event=A"),
        ('{\\"traits\\":{\\"name\\":\\"A\\\\\\"}nn\\"},\\"c\\":1}', '{\\"traits\\":***,\\"c\\":1}'),
    ],
)
def test_traits_in_text(text: str, expected: str | None) -> None:
    """Traits in broken JSON, or in JSON inside a string, are masked as a whole."""
    found = mask(text)
    assert "Ann" not in found
    assert expected is None or found == expected


def test_traits_of_events_are_masked() -> None:
    """Values of traits are masked wherever they are; names, numbers and other values are kept."""
    event = {
        "userId": "u1",
        "traits": {"name": "Ann", "address": {"city": "Berlin"}, "tags": ["vip"], "x": None},
        "context": {"traits": {"age": 41}, "ip": "somewhere", "library": {"version": "1.2"}},
        "properties": {"note": "to ann@example.com", "n": Decimal("1.10"), "on": True},
    }
    before = repr(event)
    assert masked_event(event) == {
        "userId": "u1",
        "traits": {"name": HIDDEN, "address": {"city": HIDDEN}, "tags": [HIDDEN], "x": None},
        "context": {"traits": {"age": HIDDEN}, "ip": HIDDEN, "library": {"version": "1.2"}},
        "properties": {"note": f"to {HIDDEN}", "n": Decimal("1.10"), "on": True},
    }
    assert repr(event) == before


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (b"", b""),
        (b'{"n": 1.10, "ip": "10.0.0.1"}', b'{"n":1.10,"ip":"***"}'),
        (b'"ann@example.com"', b'"***"'),
        (b"{'e': 'ann@example.com'}", b"{'e': '***'}"),
        (b'{"e":"a\xffn@example.com"', b'{"e":"a\\***"'),
        ('{"event":"Ann"}'.encode("utf-16"), HIDDEN.encode()),
    ],
)
def test_masked_values_keep_their_form(value: bytes | None, expected: bytes | None) -> None:
    """JSON stays JSON with all digits, text stays text, and text in other encodings is hidden."""
    assert masked_value(value) == expected


def test_events_inside_strings_are_masked() -> None:
    """An event that is JSON text in a JSON string shows no traits, either."""
    value = json.dumps(json.dumps({"traits": {"name": 'An"}n'}, "event": "A"})).encode()
    masked = masked_value(value) or b""
    assert json.loads(masked) == '{"traits": ***, "event": "A"}'
