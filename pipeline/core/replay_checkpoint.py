"""The metadata that a replay commits with each offset: its owner, and its outcomes so far.

It is JSON of a few hundred bytes; Kafka allows 4 KiB. Every transaction of a slot covers at least
one partition, so the checkpoint with the highest `number` among the partitions of a slot is the
latest one of the slot.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from pipeline.core.counts import OutcomeCounts


class ReplayCheckpoint(msgspec.Struct, frozen=True, rename={"action": "deed"}):
    """Checkpoint of a replay, stored with the committed offset of one partition.

    The names in the stored JSON never change: another version of the program may go on from it.
    """

    owner: str
    """Random token of the process that runs the replay, different from all others."""
    who: str
    """User and host of that process, `user@host`."""
    since: int
    """Time when that process took over the replay, epoch milliseconds."""
    action: str
    """What that process did to the replay, such as `resumed`, for messages."""
    number: int
    """Number of the transaction, counted from the beginning of the replay."""
    totals: OutcomeCounts
    """Outcomes of the slot up to and including this transaction."""

    def encode(self) -> str:
        """The text that Kafka stores."""
        stored = msgspec.to_builtins(self)
        if not self.totals.forwarded:  # as versions without it have stored, and still read
            del stored["totals"]["forwarded"]
        return msgspec.json.encode(stored).decode()


def read_checkpoint(metadata: str | None) -> ReplayCheckpoint | None:
    """Parse the metadata of an offset; None when it is not a checkpoint."""
    try:
        return msgspec.json.decode(metadata or "", type=ReplayCheckpoint, dec_hook=_counter)
    except (msgspec.MsgspecError, ValueError):
        return None


def latest_checkpoint(checkpoints: Iterable[ReplayCheckpoint | None]) -> ReplayCheckpoint | None:
    """Checkpoint of the latest transaction; None without any."""
    known = [checkpoint for checkpoint in checkpoints if checkpoint is not None]
    return max(known, key=lambda checkpoint: checkpoint.number) if known else None


def _counter(_type: type, value: Any) -> Counter[str]:  # noqa: ANN401  as msgspec has decoded it
    """Make a counter of a checkpoint, a type that msgspec can encode but not decode."""
    return Counter(msgspec.convert(value, dict[str, int]))
