"""Where tables are printed."""

from __future__ import annotations

import sys

from rich.console import Console


def output_console() -> Console:
    """Standard output: as wide as the terminal, and wide where there is none."""
    return Console(width=None if sys.stdout.isatty() else 160, highlight=False)
