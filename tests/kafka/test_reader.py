"""Messages of the client as records."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.core.record import INVALID_HEADERS
from pipeline.errors import TransportError
from pipeline.kafka import wait_notices as waiting
from pipeline.kafka.errors import LastClientError
from pipeline.kafka.reader import arriving, to_record


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


class Slow:
    """A consumer on a clock: it is asked, and gives what it is said to after so many seconds."""

    def __init__(self, *waits: float) -> None:
        self.now = 0.0
        self._next = [self.now + sum(waits[: n + 1]) for n in range(len(waits))]

    def consume(self, _number: int, timeout_s: float) -> list[Any]:
        """One message when its time has come."""
        self.now += timeout_s
        if self._next and self.now >= self._next[0]:
            self._next.pop(0)
            return [SimpleNamespace(error=lambda: None)]
        return []

    def monotonic(self) -> float:
        """The clock."""
        return self.now


def test_time_of_the_caller_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a chunk is worked on, the next one has the whole time limit to come."""
    slow = Slow(1, 4, 110, 4)
    monkeypatch.setattr(waiting, "time", slow)
    said: list[str] = []
    chunks = arriving(slow, 5, LastClientError(), lambda: "track.raw/0", said.append)  # type: ignore[arg-type]
    assert [len(next(chunks)) for _ in range(2)] == [1, 1]
    slow.now += 107
    assert [len(next(chunks)) for _ in range(2)] == [1, 1]
    with pytest.raises(TransportError, match=r"track\.raw/0 did not go on for 5 s"):
        next(chunks)
    silent = "track.raw/0 does not go on; is a transaction still open?"
    over = [f"track.raw/0 goes on, after {seconds} s" for seconds in (4, 3, 4)]
    assert said == [silent, over[0], silent, over[1], silent, over[2], silent]


def test_what_comes_soon_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most waits are over before anybody would wonder."""
    slow = Slow(0.9, 0.5)
    monkeypatch.setattr(waiting, "time", slow)
    said: list[str] = []
    chunks = arriving(slow, 5, LastClientError(), lambda: "track.raw/0", said.append)  # type: ignore[arg-type]
    assert [len(next(chunks)) for _ in range(2)] == [1, 1]
    assert not said
