"""What the live worker's commits tell: which rules it runs, and whether it believes origins."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.core.offset_metadata import OffsetMetadata, read_offset_metadata


def newest_note(metadata: Iterable[str]) -> OffsetMetadata | None:
    """The note that was committed last: idle partitions keep old ones. None when there is none."""
    notes = (read_offset_metadata(text) for text in metadata)
    return max((note for note in notes if note), key=lambda note: note.at, default=None)
