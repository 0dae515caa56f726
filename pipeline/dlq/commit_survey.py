"""What the live worker's commits tell: which rules it runs, and whether it believes origins."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.core.offset_metadata import CommitNote, read_note


def newest_note(metadata: Iterable[str]) -> CommitNote | None:
    """The note that was committed last: idle partitions keep old ones. None when there is none."""
    notes = (read_note(text) for text in metadata)
    return max((note for note in notes if note), key=lambda note: note.at, default=None)
