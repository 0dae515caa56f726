"""What an earlier version of the program stored is still read: names on the wire stay."""

from __future__ import annotations

from collections import Counter

from pipeline.core.counts import OutcomeCounts
from pipeline.core.headers import TrackHeader
from pipeline.core.offset_metadata import read_offset_metadata
from pipeline.core.replay_checkpoint import ReplayCheckpoint, read_checkpoint

CHECKPOINT = (
    '{"owner":"ab12","who":"u@h","since":1,"deed":"resumed","number":7,"totals":{"records":3,'
    '"left_out":1,"enriched":2,"identify":0,"dead_letters":{"invalid_json":1},"dropped":{}}}'
)
OFFSET_METADATA = "1;91ab;base=0.012500;left=90;bad=3;at=1760000000000;origin=1;topic=abc"


def test_a_stored_checkpoint_is_read_and_written_as_before() -> None:
    """A replay goes on from the checkpoint of another version, and that version from ours."""
    totals = OutcomeCounts(3, 1, 2, 0, Counter(invalid_json=1))
    assert read_checkpoint(CHECKPOINT) == ReplayCheckpoint("ab12", "u@h", 1, "resumed", 7, totals)
    assert ReplayCheckpoint("ab12", "u@h", 1, "resumed", 7, totals).encode() == CHECKPOINT


def test_forwarded_calls_are_stored_where_there_are_any() -> None:
    """Another version that knows nothing of them reads the checkpoint, too."""
    totals = OutcomeCounts(3, 1, 2, 0, Counter(invalid_json=1), forwarded=4)
    stored = ReplayCheckpoint("ab12", "u@h", 1, "resumed", 7, totals).encode()
    assert stored == CHECKPOINT.replace('"dropped":{}', '"dropped":{},"forwarded":4')
    found = read_checkpoint(stored)
    assert found is not None
    assert found.totals == totals


def test_stored_offset_metadata_is_read_and_written_as_before() -> None:
    """A worker learns from the commits of another version which rules ran."""
    metadata = read_offset_metadata(OFFSET_METADATA)
    assert metadata is not None
    assert (metadata.contract, metadata.base, metadata.bad) == ("1;91ab", 0.0125, 3)
    assert metadata.encode() == OFFSET_METADATA


def test_header_of_a_redriven_event_keeps_its_name() -> None:
    """Consumers look for the header by this name."""
    assert str(TrackHeader.REDRIVE_DEAD_LETTER) == "track.redrive.letter"
