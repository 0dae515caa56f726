"""Log lines as sentences, for somebody who watches a worker in a terminal.

A JSON line has every key; a sentence has what matters of them. A line that is not known here is
shown with all its keys, so nothing is ever hidden.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from pipeline.worker.observe.event_sentences import OF_SUPERVISOR, SENTENCES, LogLine

_META: Final = frozenset({"event", "level", "timestamp", "worker", "exception", "frames"})
_DAY_LENGTH: Final = len("2026-11-26")
_TIME_LENGTH: Final = len("17:20:01")
_MARKS: Final = {"warning": "warning: ", "error": "error: ", "critical": "error: "}
_COLOURS: Final = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31m"}
_DIM: Final = "\x1b[2m"
_PLAIN: Final = "\x1b[0m"
_IDLE_EVERY_S: Final = 60.0
_BUSY: Final = -1
"""No lag of an idle worker: it was not idle."""


class SentenceRenderer:
    """The last of structlog's processors: makes the text of a line."""

    def __init__(self, *, coloured: bool) -> None:
        self._coloured = coloured
        self._day = ""

    def __call__(self, _logger: object, _method: str, line: LogLine) -> str:
        """`17:20:01 …`; with its date where the day is another one than that of the line before."""
        level = str(line.get("level", ""))
        known = SENTENCES.get(str(line["event"]), _unknown)
        text = f"{_MARKS.get(level, '')}{_text(known, line)}"
        # Lines of a supervisor name the worker themselves.
        if "worker" in line and known not in OF_SUPERVISOR:
            text = f"worker {line['worker']}: {text}"
        if self._coloured and level in _COLOURS:
            text = f"{_COLOURS[level]}{text}{_PLAIN}"
        below = [line[name] for name in ("exception", "frames") if line.get(name)]
        return "\n".join([f"{self._time(str(line.get('timestamp', '')))} {text}", *below]).rstrip()

    def _time(self, timestamp: str) -> str:
        day, clock = timestamp[:_DAY_LENGTH], timestamp[_DAY_LENGTH + 1 :][:_TIME_LENGTH]
        text = clock if day == self._day else f"{day} {clock}"
        self._day = day
        return f"{_DIM}{text}{_PLAIN}" if self._coloured else text


class IdleFilter(logging.Filter):
    """Leaves out statistics that say once more that nothing has happened."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._idle_lag: int | None = _BUSY
        self._shown = clock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is shown; the same idle statistics are shown once a minute."""
        line = record.msg
        if not isinstance(line, dict) or line.get("event") != "statistics":
            return True
        now, lag, before = self._clock(), line["lag"], self._idle_lag
        self._idle_lag = _BUSY if line["consumed"] else lag
        says_more = self._idle_lag == _BUSY or (lag is not None and lag != before)
        if not says_more and now - self._shown < _IDLE_EVERY_S:
            return False
        self._shown = now
        return True


def _text(known: Callable[[LogLine], str], line: LogLine) -> str:
    try:
        return known(line)
    except (KeyError, TypeError, ValueError, AttributeError):
        return _unknown(line)  # a library has an event of this name, with other keys


def _unknown(line: LogLine) -> str:
    keys = " ".join(f"{key}={value}" for key, value in line.items() if key not in _META)
    return f"{line['event']} {keys}".rstrip()
