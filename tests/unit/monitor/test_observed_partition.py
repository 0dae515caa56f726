"""What follows from the offsets of one partition."""

from __future__ import annotations

import pytest

from pipeline.core.offset_metadata import OffsetMetadata
from pipeline.kafka import GroupState, Member, PartitionOffsets
from pipeline.monitor.notices import notices_of, standing
from pipeline.monitor.observed_partition import ObservedPartition
from pipeline.ports import TopicFacts
from pipeline.settings.model import Settings, load_settings

NOW = 1_700_000_000_000
OFFSETS = PartitionOffsets(begin=10, readable=30, end=30)
METADATA = OffsetMetadata("1;0123456789ab", 0.01, 0, 0, NOW, origin=False, topic_id="id")
TOPIC = TopicFacts("track.raw", 1, 1, {"retention.ms": "60000"}, None, "id")


def _partition(
    committed: int | None = 20,
    offsets: PartitionOffsets | None = OFFSETS,
    metadata: OffsetMetadata | None = METADATA,
) -> ObservedPartition:
    return ObservedPartition(0, offsets, committed, metadata, "w1")


@pytest.mark.parametrize(
    ("committed", "initial", "position"),
    [(20, "latest", 20), (5, "latest", 10), (None, "earliest", 10), (None, "latest", 30)],
)
def test_position_is_the_first_remaining_offset_that_is_not_committed(
    committed: int | None, initial: str, position: int
) -> None:
    """A group without offsets begins where the settings say."""
    assert _partition(committed).position(initial) == position


def test_lag_of_a_partition_without_a_leader_is_unknown() -> None:
    """An unknown lag is not 0."""
    status = _partition(offsets=None).status(None, {}, 60_000, NOW)
    assert (status.end, status.lag_records, status.lag_seconds) == (None, None, None)


def test_lag_behind_the_end_is_unknown() -> None:
    """A lag is never negative: a committed offset that does not exist says nothing."""
    status = _partition(40).status(40, {}, 60_000, NOW)
    assert (status.lag_records, status.lag_seconds) == (None, None)


def test_offsets_without_records_are_no_lag() -> None:
    """Transaction markers and aborted records alone keep nobody waiting."""
    status = _partition().status(20, {0: None}, 60_000, NOW)
    assert (status.lag_records, status.lag_seconds, status.retention_seconds) == (0, 0, None)


def test_age_and_time_until_retention_come_from_the_oldest_record() -> None:
    """Both count from its timestamp."""
    status = _partition().status(20, {0: NOW - 40_000}, 60_000, NOW)
    assert (status.lag_records, status.lag_seconds, status.retention_seconds) == (10, 40, 20)


def test_unlimited_retention_deletes_nothing() -> None:
    """There is no time until it does."""
    status = _partition().status(20, {0: NOW - 40_000}, None, NOW)
    assert (status.lag_seconds, status.retention_seconds) == (40, None)


def test_record_of_unknown_age_waits_all_the_same() -> None:
    """The offsets count, and the age is unknown."""
    status = _partition().status(20, {}, 60_000, NOW)
    assert (status.lag_records, status.lag_seconds) == (10, None)


@pytest.fixture(scope="module")
def settings() -> Settings:
    """The default settings."""
    return load_settings(None, {}, {})


STABLE = GroupState("STABLE", [Member("w1", "track-pipeline", "/10.0.0.1", frozenset({0}))])


@pytest.mark.parametrize(
    ("partition", "group", "topic", "part"),
    [
        (_partition(), GroupState("EMPTY", []), TOPIC, "has no members: no worker is running"),
        (_partition(), STABLE._replace(state="PREPARING_REBALANCING"), TOPIC, "is rebalancing"),
        (_partition()._replace(member=None), STABLE, TOPIC, "partition 0 has no worker"),
        (_partition(None, metadata=None), STABLE, TOPIC, "has not committed anything yet"),
        (_partition(offsets=None), STABLE, TOPIC, "partition 0 of topic track.raw has no leader"),
        (_partition(40), STABLE, TOPIC, "does not exist yet"),
        (_partition(5), STABLE, TOPIC, "were deleted before they were read"),
        (_partition(), STABLE, TOPIC._replace(config={}), "grant this user DESCRIBE_CONFIGS"),
        (_partition(), STABLE, TOPIC._replace(id="new"), "was created again since"),
    ],
)
def test_each_thing_that_is_wrong_has_its_sentence(
    settings: Settings,
    partition: ObservedPartition,
    group: GroupState,
    topic: TopicFacts,
    part: str,
) -> None:
    """One sentence, and no other one."""
    (sentence,) = notices_of(group, settings, [partition], {"track.raw": topic})
    assert part in sentence


def test_outputs_that_are_hidden_are_named(settings: Settings) -> None:
    """Nobody knows about open transactions in them."""
    hidden = TopicFacts("track.enriched", 0, 0, {}, frozenset())
    facts = {"track.raw": TOPIC, "track.enriched": hidden}
    (sentence,) = notices_of(STABLE, settings, [_partition()], facts)
    assert "open transactions of track.enriched are not known: grant this user DESCRIBE" in sentence


def test_a_healthy_pipeline_has_no_notices(settings: Settings) -> None:
    """Nothing to read for whoever is on call."""
    assert list(notices_of(STABLE, settings, [_partition()], {"track.raw": TOPIC})) == []


def test_partition_that_waits_without_commits_is_named() -> None:
    """A member whose breaker is open, or that has ended, looks like one that works."""
    later = NOW + 40_000
    waiting = _partition().status(20, {0: NOW}, None, later)
    (sentence,) = standing([waiting], later)
    assert "partition 0 has had no commit for 30 s or more, although records wait" in sentence
    assert "--url" in sentence


@pytest.mark.parametrize(
    ("partition", "timestamp"),
    [
        (_partition(), NOW + 39_000),
        (_partition(metadata=METADATA._replace(at=NOW + 39_000)), NOW),
        (_partition()._replace(member=None), NOW),
        (_partition(metadata=None), NOW),
        (_partition(), None),
    ],
    ids=["a young record", "a recent commit", "no member", "no commit", "markers alone"],
)
def test_partition_that_is_worked_on_is_not_named(
    partition: ObservedPartition, timestamp: int | None
) -> None:
    """Nor is one about which another sentence speaks."""
    later = NOW + 40_000
    assert not list(standing([partition.status(20, {0: timestamp}, None, later)], later))


def test_several_contracts_are_a_rolling_upgrade(settings: Settings) -> None:
    """The sentence names both."""
    other = _partition(metadata=METADATA._replace(contract="2;ffffffffffff"))
    (sentence,) = notices_of(STABLE, settings, [_partition(), other], {"track.raw": TOPIC})
    assert "2 contracts (1;0123456789ab, 2;ffffffffffff): a rolling upgrade" in sentence
