"""The metadata that a worker commits with each offset, for the next owner of the partition.

`contract;hash;base=<ratio>;left=<n>;bad=<n>;at=<ms>;origin=0|1;topic=<id>` says under which
contract the records before the offset were processed, how many of them are usually rejected, and
which topic the offset belongs to. It takes about 100 bytes of the 4 KiB that Kafka allows.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_FORM: Final = re.compile(
    r"(?P<contract>[^;]+;[^;=]+);base=(?P<base>[01]\.[0-9]{6});left=(?P<left>[0-9]{1,9})"
    r";bad=(?P<bad>[0-9]{1,9});at=(?P<at>[0-9]{1,15});origin=(?P<origin>[01]);topic=(?P<topic>[^;]*)"
)


class OffsetMetadata(NamedTuple):
    """Metadata of the committed offset of one partition."""

    contract: str
    """Contract of the worker, `version;hash` as in the header `track.contract`."""
    base: float
    """Usual ratio of invalid events, 0 to 1."""
    left: int
    """Number of events that the circuit breaker still watches; 0 when it is not armed."""
    bad: int
    """Number of invalid events among those that it has watched so far."""
    at: int
    """Time of the commit, epoch milliseconds."""
    origin: bool
    """Whether origin headers were trusted (`accept_origin_headers`)."""
    topic_id: str = ""
    """Kafka's id of the raw topic, which changes when it is recreated. Empty when unknown."""

    def encode(self) -> str:
        """The text that Kafka stores."""
        return (
            f"{self.contract};base={self.base:.6f};left={self.left};bad={self.bad}"
            f";at={self.at};origin={self.origin:d};topic={self.topic_id}"
        )


def read_offset_metadata(metadata: str | None) -> OffsetMetadata | None:
    """Parse the metadata of an offset; None when it is not ours."""
    match = _FORM.fullmatch(metadata or "")
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
