"""What is written beside each committed offset (Kafka's offset metadata), and read back.

`contract;hash;base=<share>;left=<n>;bad=<n>;at=<ms>;origin=0|1;topic=<id>`: the next owner of a
partition learns from it which rules its records went through last, how often records are usually
refused, and whether the topic is still the one that the offset belongs to. Kafka refuses metadata
above 4 KiB; this is about 100 bytes.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_NOTE: Final = re.compile(
    r"(?P<contract>[^;]+;[^;=]+);base=(?P<base>[01]\.[0-9]{6});left=(?P<left>[0-9]{1,9})"
    r";bad=(?P<bad>[0-9]{1,9});at=(?P<at>[0-9]{1,15});origin=(?P<origin>[01]);topic=(?P<topic>[^;]*)"
)


class OffsetMetadata(NamedTuple):
    """One partition's note."""

    contract: str
    """`version;hash`, as in the header `track.contract`."""
    base: float
    """Share of invalid events that is usual, 0 to 1."""
    left: int
    """Events that the breaker still watches; 0 when it is not armed."""
    bad: int
    """Invalid ones among those that it has watched so far."""
    at: int
    """When it was committed, epoch milliseconds."""
    origin: bool
    """Whether origin headers were believed (`accept_origin_headers`)."""
    topic_id: str = ""
    """Kafka's id of the raw topic: a topic created anew has another one. Empty when unknown."""

    def encode(self) -> str:
        """As offset metadata."""
        return (
            f"{self.contract};base={self.base:.6f};left={self.left};bad={self.bad}"
            f";at={self.at};origin={self.origin:d};topic={self.topic_id}"
        )


def read_offset_metadata(metadata: str | None) -> OffsetMetadata | None:
    """The note in an offset's metadata; None when there is none, or one of another program."""
    match = _NOTE.fullmatch(metadata or "")
    if match is None:
        return None
    return OffsetMetadata(
        match["contract"],
        float(match["base"]),
        int(match["left"]),
        int(match["bad"]),
        int(match["at"]),
        match["origin"] == "1",
        match["topic"],
    )
