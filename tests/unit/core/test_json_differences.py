"""Where two documents differ, as JSON Pointers."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.core.decode import decode
from pipeline.core.json_pointer import ABSENT, differences, find


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ('{"a": 1}', '{"a": 1}', []),
        ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}', []),
        ('{"a": [1.0, 1e3, 0.0000001, -0]}', '{"a": [1, 1E+3, 1E-7, 0]}', []),
        ('{"a": 0.1}', '{"a": 0.10000000000000000000000000000001}', ["/a"]),
        ('{"a": 18446744073709551616}', '{"a": 18446744073709551617}', ["/a"]),
        ('{"a": 1}', '{"a": true}', ["/a"]),
        ('{"a": 1}', '{"a": "1"}', ["/a"]),
        ('{"a": 1e99999999999999999999}', '{"a": 1e99999999999999999999}', []),
        ('{"a": 1e99999999999999999999}', '{"a": 1e99999999999999999998}', ["/a"]),
        (f'{{"a": {"9" * 5000}}}', f'{{"a": {"9" * 5000}}}', []),
        (f'{{"a": {"9" * 5000}}}', f'{{"a": {"9" * 4999}8}}', ["/a"]),
        ('{"a": [1, 2]}', '{"a": [1, 3]}', ["/a/1"]),
        ('{"a": [1]}', '{"a": [1, 3]}', ["/a"]),
        ('{"a": null}', "{}", ["/a"]),
        ('{"a": {"x/y": 1, "m~n": 1}}', '{"a": {}}', ["/a/m~0n", "/a/x~1y"]),
        ('{"a": {}}', '{"a": []}', ["/a"]),
        ("[]", "{}", [""]),
    ],
)
def test_differences_have_pointers(before: str, after: str, found: list[str]) -> None:
    """Values are compared to the last digit, however they are written and members ordered."""
    pairs = list(differences(_read(before), _read(after)))
    assert [each.pointer for each in pairs] == found


def _read(text: str) -> Any:
    return decode(text.encode(), 512)


def test_values_of_one_document_are_differences() -> None:
    """A value that only one document has is a difference."""
    (only,) = differences({}, {"a": 1})
    assert only == ("/a", ABSENT, 1)


def test_places_in_arrays() -> None:
    """Numbers are written as RFC 6901 has them."""
    document = {"a": [5, 6]}
    assert (find(document, "/a/0"), find(document, "/a/1")) == (5, 6)
    for step in ("2", "01", "-", "-1", "\uff11", "1" * 5000):
        assert find(document, f"/a/{step}") is ABSENT
