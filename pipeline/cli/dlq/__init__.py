"""`track-pipeline dlq …`: the desk for dead letters."""

from __future__ import annotations

from typing import Final

import click

from pipeline.cli.main import CommandTree, Listed

_PACKAGE: Final = "pipeline.cli.dlq"
_LISTED: Final = {
    "summary": Listed(f"{_PACKAGE}.summary", "Count letters: what is wrong, and since when?"),
    "why": Listed(f"{_PACKAGE}.why", "What do letters have in common that good events do not?"),
    "check": Listed(f"{_PACKAGE}.check", "What would become of the letters now?"),
    "show": Listed(f"{_PACKAGE}.show", "Show everything about single letters."),
    "redrive": Listed(f"{_PACKAGE}.redrive", "Send letters again, never twice."),
    "import": Listed(f"{_PACKAGE}.import_", "Send an edited export.", "import_letters"),
    "discard": Listed(f"{_PACKAGE}.discard", "Mark letters as dealt with."),
    "restore": Listed(f"{_PACKAGE}.restore", "Undo a discard."),
    "history": Listed(f"{_PACKAGE}.history", "List redrives, discards and restores."),
    "export": Listed(f"{_PACKAGE}.export", "Write letters as NDJSON.", "export_letters"),
    "list": Listed(f"{_PACKAGE}.list", "List letters, one line each.", "list_letters"),
}


@click.group(cls=CommandTree, listed=_LISTED)
def dlq() -> None:
    """Look into dead letters, check what would happen now, and send them again.

    Everything but redrive, import, discard and restore only reads: in no consumer group, and up to
    the end that the topic has at the start.
    """
