"""Files that are replayed: what a plan keeps of them, and the sources that their lines have.

All lines of all files, in their order, are counted through: how far a replay is, is the number of
lines that are done.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, Final

from pipeline.core.coordinates import NO_ITEM, Source, parse_source
from pipeline.core.record import NO_PARTITION

_LINE: Final = re.compile(r":([1-9][0-9]{0,18})(?::(0|[1-9][0-9]{0,9}))?")


@dataclass(frozen=True)
class PlannedFile:
    """One file, as it was when the replay was made."""

    name: str
    """Name that was given on the command line; the sources of its lines are `name:line`."""
    path: str
    """Absolute path."""
    size: int
    """Size in bytes, compressed as it is."""
    sha256: str
    """Digest of these bytes."""
    lines: int

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return {
            "file": self.name,
            "path": self.path,
            "bytes": self.size,
            "sha256": self.sha256,
            "lines": self.lines,
        }


@dataclass(frozen=True)
class Archive:
    """The files of a replay, in the order in which they are read."""

    files: tuple[PlannedFile, ...]
    received_at: int | None
    """Kafka timestamp of lines that have none, in epoch milliseconds; None leaves them without."""
    partitions: int
    """Number of partitions that archived records need at least; 0 when none names one."""
    in_order: bool
    """Whether the coordinates of archived records rise, in each partition, from line to line."""

    @property
    def lines(self) -> int:
        """Number of lines in all files."""
        return sum(file.lines for file in self.files)

    @property
    def starts(self) -> list[int]:
        """Number of lines before each file."""
        return list(accumulate((file.lines for file in self.files), initial=0))[:-1]

    @property
    def title(self) -> str:
        """The files in a few words."""
        more = len(self.files) - 1
        return self.files[0].name + (f" and {more} more" if more else "")

    @cached_property
    def _places(self) -> dict[str, tuple[int, int]]:
        return {
            file.name: (start, file.lines)
            for file, start in zip(self.files, self.starts, strict=True)
        }

    def source(self, text: bytes) -> Source | None:
        """Read the source in a header of an output; None when it is none of these files."""
        if b":" not in text:
            return parse_source(text)
        shown = text.decode(errors="replace")
        for name in self._places:
            match = _LINE.fullmatch(shown, len(name)) if shown.startswith(name) else None
            if match is not None:
                item = NO_ITEM if match[2] is None else int(match[2])
                return Source(name, NO_PARTITION, int(match[1]), item)
        return None

    def line_of(self, source: Source) -> int | None:
        """Return the number of a source's line among all lines, from 1; None without one."""
        start, lines = self._places.get(source.topic, (0, 0))
        return start + source.offset if 1 <= source.offset <= lines else None
