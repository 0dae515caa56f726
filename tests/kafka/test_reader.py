"""Messages of the client as records."""

from __future__ import annotations

import pytest

from pipeline.core.record import INVALID_HEADERS
from pipeline.edges.kafka.reader import to_record


class Message:
    """A message of the client whose headers can't be given."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def headers(self) -> list[tuple[str, bytes]]:
        """Fail as the client does for a name that is not UTF-8."""
        raise self._error

    def timestamp(self) -> tuple[int, int]:
        """No timestamp."""
        return 0, -1

    def value(self) -> bytes:
        """A value."""
        return b"{}"

    def key(self) -> None:
        """No key."""

    def topic(self) -> str:
        """A topic."""
        return "raw"

    def partition(self) -> int:
        """A partition."""
        return 2

    def offset(self) -> int:
        """An offset."""
        return 7


@pytest.mark.parametrize(
    "error", [SystemError("headers"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid")]
)
def test_header_name_that_is_not_utf8(error: Exception) -> None:
    """The record is read all the same, with a mark in place of its headers."""
    record = to_record(Message(error))
    assert record.headers is INVALID_HEADERS
    assert (record.value, record.timestamp, record.offset) == (b"{}", None, 7)
