"""The oldest record that a group has not committed, where an offset alone says nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from pipeline.kafka.oldest_records import OldestRecords
from tests.brokers import (
    RECENT,
    Sent,
    create_topics,
    delete_records,
    open_transaction,
    produce,
    produce_in_transaction,
    read_topic,
    unique,
    wait_for_markers,
)
from tests.kafka.mock_cluster import MockCluster
from tests.kafka.worker_process import PATIENCE_S

DAY_MS: Final = 86_400_000
MINUTE_MS: Final = 60_000
COMPACTED: Final = {
    "cleanup.policy": "compact",
    "segment.ms": "50",
    "min.cleanable.dirty.ratio": "0.0001",
    "max.compaction.lag.ms": "100",
}


def _records(partition: int, *ages_ms: int) -> list[Sent]:
    return [Sent(b"{}", b"k", (), RECENT - age, partition) for age in ages_ms]


@pytest.fixture(scope="module")
def topic(bootstrap_servers: str) -> str:
    """One topic for the tests of the module; each has partitions of its own."""
    name = unique("oldest")
    create_topics(bootstrap_servers, name, partitions=16)
    return name


@pytest.fixture(scope="module")
def oldest(bootstrap_servers: str, topic: str) -> Iterator[OldestRecords]:
    """One for all tests: its clients stay connected, as in a program that runs for months."""
    with OldestRecords({"bootstrap.servers": bootstrap_servers}, topic) as made:
        yield made


@pytest.mark.kafka
def test_timestamp_is_that_of_the_first_record_behind_the_position(
    bootstrap_servers: str, topic: str, oldest: OldestRecords
) -> None:
    """By offset, even if a later record has an earlier timestamp; nothing waits at the end."""
    produce(bootstrap_servers, topic, _records(0, 30, 10, 20))
    assert oldest.timestamps({0: 0}) == {0: RECENT - 30}
    assert oldest.timestamps({0: 1}) == {0: RECENT - 10}
    assert oldest.timestamps({0: 3, 1: 0}) == {0: None, 1: None}
    produce(bootstrap_servers, topic, _records(0, 5))
    assert oldest.timestamps({0: 3, 1: 0}) == {0: RECENT - 5, 1: None}


@pytest.mark.kafka
def test_partition_whose_records_were_committed_long_ago_has_no_age(
    bootstrap_servers: str, topic: str, oldest: OldestRecords
) -> None:
    """Whatever the timestamp of the last record is: after days of silence, nothing is late."""
    produce(bootstrap_servers, topic, _records(2, 5 * DAY_MS))
    assert oldest.timestamps({2: 1}) == {2: None}


@pytest.mark.kafka
def test_transaction_markers_do_not_wait(
    bootstrap_servers: str, topic: str, oldest: OldestRecords
) -> None:
    """Behind the last record of a transaction is its marker, which nobody reads."""
    produce_in_transaction(bootstrap_servers, topic, _records(3, 20))
    assert oldest.timestamps({3: 0}) == {3: RECENT - 20}
    assert oldest.timestamps({3: 1}) == {3: None}
    produce_in_transaction(bootstrap_servers, topic, _records(3, 10))
    assert oldest.timestamps({3: 1}) == {3: RECENT - 10}


@pytest.mark.kafka
def test_aborted_records_do_not_wait(
    bootstrap_servers: str, topic: str, oldest: OldestRecords
) -> None:
    """A range of aborted records does not hide the record behind it."""
    produce_in_transaction(bootstrap_servers, topic, _records(4, 50, 40), committed=False)
    wait_for_markers(bootstrap_servers, topic)
    assert oldest.timestamps({4: 0}) == {4: None}
    assert oldest.timestamps({4: 0}) == {4: None}
    produce(bootstrap_servers, topic, _records(4, 30))
    assert oldest.timestamps({4: 0}) == {4: RECENT - 30}


@pytest.mark.kafka
def test_records_of_an_open_transaction_wait_until_it_is_aborted(
    bootstrap_servers: str, topic: str, oldest: OldestRecords
) -> None:
    """Such a record is late although nobody can read it yet; aborted, it is forgotten."""
    produce(bootstrap_servers, topic, _records(5, 90))
    sender = open_transaction(bootstrap_servers, topic, _records(5, 70, 60), unique("sender"))
    assert oldest.timestamps({5: 0}) == {5: RECENT - 90}
    assert oldest.timestamps({5: 1}) == {5: RECENT - 70}
    sender.abort_transaction(PATIENCE_S)
    wait_for_markers(bootstrap_servers, topic)
    assert oldest.timestamps({5: 1}) == {5: None}


@pytest.mark.kafka
def test_position_below_the_log_start_continues_at_the_first_remaining_record(
    bootstrap_servers: str, topic: str, oldest: OldestRecords
) -> None:
    """What retention has deleted does not wait any more, and never again."""
    produce(bootstrap_servers, topic, _records(6, 60, 50, 40))
    produce(bootstrap_servers, topic, _records(7, 60, 50))
    delete_records(bootstrap_servers, topic, partition=6, before=2)
    delete_records(bootstrap_servers, topic, partition=7, before=2)
    assert oldest.timestamps({6: 0, 7: 0}) == {6: RECENT - 40, 7: None}


@pytest.mark.kafka
def test_same_record_is_not_fetched_again_for_a_minute(bootstrap_servers: str, topic: str) -> None:
    """Afterwards it is: retention may have deleted it."""
    now = 1000.0
    kafka = {"bootstrap.servers": bootstrap_servers}
    with OldestRecords(kafka, topic, clock=lambda: now + time.monotonic()) as oldest:
        produce(bootstrap_servers, topic, _records(8, 60, 50))
        assert oldest.timestamps({8: 0}) == {8: RECENT - 60}
        delete_records(bootstrap_servers, topic, partition=8, before=1)
        assert oldest.timestamps({8: 0}) == {8: RECENT - 60}
        now += 61
        assert oldest.timestamps({8: 0}) == {8: RECENT - 50}


@pytest.mark.kafka
def test_position_behind_the_end_says_nothing(
    bootstrap_servers: str, topic: str, oldest: OldestRecords
) -> None:
    """The topic was truncated or created again: its first record is not the oldest unread one."""
    produce(bootstrap_servers, topic, _records(9, 60))
    assert oldest.timestamps({9: 100, 0: 0}) == {0: RECENT - 30}


@pytest.mark.kafka
def test_timestamp_in_the_future_is_returned_as_it_is(
    bootstrap_servers: str, topic: str, oldest: OldestRecords
) -> None:
    """Clocks of senders may be ahead; ages are computed elsewhere, and are never negative."""
    produce(bootstrap_servers, topic, _records(10, -90 * MINUTE_MS))
    assert oldest.timestamps({10: 0}) == {10: RECENT + 90 * MINUTE_MS}


@pytest.mark.kafka
def test_record_without_a_timestamp_is_as_old_as_the_next_one_that_has_one(
    bootstrap_servers: str, topic: str, oldest: OldestRecords
) -> None:
    """A record that has waited for an unknown time is not reported as none."""
    produce(bootstrap_servers, topic, [Sent(b"{}", None, (), -1, 11)])
    assert oldest.timestamps({11: 0, 0: 0}) == {0: RECENT - 30}
    produce(bootstrap_servers, topic, _records(11, 10))
    assert oldest.timestamps({11: 0}) == {11: RECENT - 10}


@pytest.mark.kafka
def test_gaps_of_compaction_are_passed(
    bootstrap_servers: str, topic_name: Callable[[str], str]
) -> None:
    """Where the record at the position was removed, the next one is the oldest."""
    name = topic_name("compacted")
    create_topics(bootstrap_servers, name, config=COMPACTED)
    for number in range(5):
        produce(bootstrap_servers, name, _records(0, -1000 * number))
    deadline = time.monotonic() + PATIENCE_S
    first = read_topic(bootstrap_servers, name)[0]
    while True:
        with OldestRecords({"bootstrap.servers": bootstrap_servers}, name) as oldest:
            found = oldest.timestamps({0: 0})
        before, first = first, read_topic(bootstrap_servers, name)[0]
        if before == first and first.offset > 0:  # nothing was removed meanwhile
            break
        assert time.monotonic() < deadline
    assert found == {0: first.timestamp}


def test_partition_without_a_leader_is_left_out() -> None:
    """The others are answered; a cluster that is down answers nothing, and raises nothing."""
    with MockCluster() as cluster:
        cluster.create_topic("raw", 2)
        produce(cluster.bootstrap_servers, "raw", [*_records(0, 20), *_records(1, 10)])
        cluster.lead("raw", 1, None)
        kafka = {"bootstrap.servers": cluster.bootstrap_servers}
        with OldestRecords(kafka, "raw", answer_s=1) as oldest:
            assert oldest.timestamps({0: 0, 1: 0}) == {0: RECENT - 20}
            cluster.down()
            assert oldest.timestamps({1: 0}) == {}
