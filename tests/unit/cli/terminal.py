"""Standard output as a terminal of some width, within this process."""

from __future__ import annotations

import io
import re
from typing import Final

import pytest

_STYLE: Final = re.compile(r"\x1b\[[0-9;]*m")


class Terminal(io.StringIO):
    """What is written to it can be read back."""

    def isatty(self) -> bool:
        """A terminal."""
        return True

    def lines(self) -> list[str]:
        """What it shows, without colours and weights."""
        return _STYLE.sub("", self.getvalue()).splitlines()


def as_terminal(monkeypatch: pytest.MonkeyPatch, width: int, stream: str = "stdout") -> Terminal:
    """Make standard output, or the other stream, a terminal with colours."""
    terminal = Terminal()
    monkeypatch.setattr(f"sys.{stream}", terminal)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    return terminal
