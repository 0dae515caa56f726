"""`track-pipeline dlq …`: flags become a request, results become text or JSON and an exit code.

What is done with dead letters is in `pipeline.dlq`; here is nothing but options and views.
"""

from __future__ import annotations

from typing import Final

import click

from pipeline.cli.main import CommandTree, Listed

_PACKAGE: Final = "pipeline.cli.dlq"
_LISTED: Final = {
    "summary": Listed(f"{_PACKAGE}.summary", "Count dead letters: what is wrong, since when?"),
    "why": Listed(
        f"{_PACKAGE}.why", "Find what dead letters have in common, and good events lack."
    ),
    "check": Listed(f"{_PACKAGE}.check", "Check what the current rules would do with them."),
    "show": Listed(f"{_PACKAGE}.show", "Show everything about single dead letters."),
    "redrive": Listed(f"{_PACKAGE}.redrive", "Send their events again, never twice."),
    "import": Listed(f"{_PACKAGE}.import_", "Send an edited export.", "import_dead_letters"),
    "discard": Listed(f"{_PACKAGE}.discard", "Mark dead letters as resolved."),
    "restore": Listed(f"{_PACKAGE}.restore", "Undo a discard."),
    "history": Listed(f"{_PACKAGE}.history", "List redrives, discards and restores."),
    "export": Listed(f"{_PACKAGE}.export", "Write dead letters as NDJSON.", "export_dead_letters"),
    "list": Listed(f"{_PACKAGE}.list", "List dead letters, one line each.", "list_dead_letters"),
}


@click.group(cls=CommandTree, listed=_LISTED)
def dlq() -> None:
    """Inspect dead letters, check what the current rules would do with them, and redrive them.

    All commands but redrive, import, discard and restore only read. They join no consumer group,
    and stop at the end that the topic had when they started.
    """
