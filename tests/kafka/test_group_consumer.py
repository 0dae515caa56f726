"""What is collected, and what is committed behind it, while partitions come and go.

All that happens inside one call of the client's `consume`. Some offsets have no record: those of
transaction markers and of aborted records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

import pytest
from confluent_kafka import KafkaError, TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import OutcomeUnknownError
from pipeline.kafka.errors import LastClientError
from pipeline.kafka.group_consumer import GroupConsumer
from pipeline.kafka.session_config import CollectLimits
from pipeline.kafka.start_offsets import StartOffsets
from pipeline.ports import Batch

TOPIC: Final = "raw"
PARTITIONS: Final = range(4)
_LINGER_S: Final = 1.0
STRATEGIES: Final = ["range", "cooperative-sticky"]
Move = tuple[str, frozenset[int]]
"""What happens inside one call: `fetch` a record of each of these partitions, come to the `end` of
each, or `rebalance` to hold exactly these."""


def _is_delivered(offset: int) -> bool:
    """Every third offset is a marker, or an aborted record."""
    return offset % 3 != 1


class _Message:
    """As far as a batch needs it."""

    def __init__(self, partition: int, offset: int, error: KafkaError | None = None) -> None:
        self._place = partition, offset
        self._error = error

    def __len__(self) -> int:
        return 1

    def partition(self) -> int:
        return self._place[0]

    def offset(self) -> int:
        return self._place[1]

    def error(self) -> KafkaError | None:
        return self._error

    def topic(self) -> str:
        return TOPIC

    def timestamp(self) -> tuple[int, int]:
        return 1, 1

    def value(self) -> bytes:
        return b"x"

    def key(self) -> None:
        return None

    headers = key


class _Consumer:
    """A client that does what it is told inside `consume`, as librdkafka may do it."""

    def __init__(self, *, cooperative: bool) -> None:
        self.committed: dict[int, int] = {}
        self.calls: list[Sequence[Move]] = []
        """What happens inside each of the next calls; with the last one the time is over."""
        self.left_over: list[_Message] = []
        """Of before a seek, as the client must not give it but has given it."""
        self.now = 0.0
        self._cooperative = cooperative
        self._positions: dict[int, int] = {}
        self._told: dict[int, int] = {}
        """Ends are told once, and again after a seek or an assignment."""

    def subscribe(self, _topics: list[str], **callbacks: Callable[..., None]) -> None:
        self._callbacks = callbacks

    def consume(self, _most: int, _timeout_s: float) -> list[_Message]:
        taken, self.left_over = self.left_over, []
        for what, partitions in self.calls.pop(0):
            numbers = sorted(partitions & self.held)
            if what == "fetch":
                taken += [self._fetch(number) for number in numbers]
            elif what == "end":
                taken += [end for number in numbers for end in self._end(number)]
            else:
                self._rebalance(partitions)
        if not self.calls:
            self.now += _LINGER_S
        return taken

    @property
    def held(self) -> set[int]:
        return set(self._positions)

    def _fetch(self, number: int) -> _Message:
        self._pass_markers(number)
        self._positions[number] += 1
        return _Message(number, self._positions[number] - 1)

    def _pass_markers(self, number: int) -> None:
        while not _is_delivered(self._positions[number]):
            self._positions[number] += 1

    def _end(self, number: int) -> Iterator[_Message]:
        self._pass_markers(number)
        end = self._positions[number]
        if self._told.get(number) != end:
            self._told[number] = end
            yield _Message(number, end, KafkaError(KafkaError._PARTITION_EOF))  # noqa: SLF001

    def position(self, number: int) -> int:
        return self._positions[number]

    def seek(self, place: TopicPartition) -> None:
        self._positions[place.partition] = place.offset
        self._told.pop(place.partition, None)

    def _rebalance(self, wanted: frozenset[int]) -> None:
        lost = self.held - wanted if self._cooperative else self.held
        if lost:
            self._callbacks["on_revoke"](self, _places(lost))
            for number in lost:
                del self._positions[number]
                self._told.pop(number, None)
        self._callbacks["on_assign"](self, _places(wanted - self.held))

    def assign(self, places: Iterable[TopicPartition]) -> None:
        self._positions = {place.partition: place.offset for place in places}
        self._told = {}

    def assignment(self) -> list[TopicPartition]:
        return _places(self.held)

    def pause(self, places: Iterable[TopicPartition]) -> None:
        """What was fetched before it may still arrive."""

    def incremental_assign(self, places: Iterable[TopicPartition]) -> None:
        self._positions.update({place.partition: place.offset for place in places})

    def incremental_unassign(self, places: Iterable[TopicPartition]) -> None:
        for place in places:
            del self._positions[place.partition]
            self._told.pop(place.partition, None)


def _places(numbers: Iterable[int]) -> list[TopicPartition]:
    return [TopicPartition(TOPIC, number) for number in sorted(numbers)]


class _Committed:
    """Partitions start where they were committed."""

    group = "g"

    def resolve(
        self, consumer: Any, assigned: Sequence[TopicPartition], _topic_id: str
    ) -> StartOffsets:
        places = [
            TopicPartition(TOPIC, each.partition, consumer.committed.get(each.partition, 0))
            for each in assigned
        ]
        return StartOffsets(places, [], [])


def _collector(consumer: _Consumer, strategy: str, *, continues: bool = False) -> GroupConsumer:
    config = SimpleNamespace(
        raw_topic=TOPIC,
        batch=CollectLimits(10_000, 1_000_000, _LINGER_S),
        continue_on_data_loss=continues,
        startup_timeout_s=1.0,
        consumer={"partition.assignment.strategy": strategy},
    )
    ids = SimpleNamespace(current=lambda: "", changed_from=lambda _: False)
    made: Any = (consumer, config, _Committed(), ids, LastClientError())
    return GroupConsumer(*made, partitions=len(PARTITIONS))


def _collect(
    collector: GroupConsumer, consumer: _Consumer, calls: Iterable[Sequence[Move]]
) -> Batch:
    """A batch by these calls: its positions are behind what it holds, and nothing else."""
    consumer.calls = list(calls)
    with patch("pipeline.kafka.group_consumer.time.monotonic", lambda: consumer.now):
        batch = collector.collect()
    for number in PARTITIONS:
        offsets = [record.offset for record in batch.records if record.partition == number]
        first = consumer.committed.get(number, 0)
        behind = batch.positions.get((TOPIC, number), first)
        assert offsets == list(filter(_is_delivered, range(first, behind)))
    return batch


def _check(strategy: str, batches: Iterable[Sequence[Sequence[Move]]], again: int = 0) -> None:
    """Collect by some calls, then commit: every record once, and in order.

    Of each batch whose bit is set in `again` the commit fails: it is rewound instead.
    """
    consumer = _Consumer(cooperative=strategy != "range")
    collector = _collector(consumer, strategy)
    for turn, calls in enumerate(batches):
        batch = _collect(collector, consumer, calls)
        if again >> turn & 1:
            collector.rewind(batch)
        else:
            _commit(collector, consumer, batch)
    for calls in [[[_move("fetch", *PARTITIONS)]], [[_move("end", *PARTITIONS)]]]:
        _commit(collector, consumer, _collect(collector, consumer, calls))
    assert consumer.held == set(collector.next)
    # Nothing is left between what is committed and the end, and no batch is for nothing.
    assert all(consumer.committed[number] == consumer.position(number) for number in consumer.held)
    assert not _collect(collector, consumer, [[_move("end", *PARTITIONS)]]).positions


def _commit(collector: GroupConsumer, consumer: _Consumer, batch: Batch) -> None:
    moved = {place[1]: at for place, at in batch.positions.items()}
    assert batch.records or all(consumer.committed.get(n) != at for n, at in moved.items())
    consumer.committed |= moved
    collector.committed(batch.positions)
    assert {n: consumer.committed.get(n, 0) for n in consumer.held} == (collector.done() or {})


def _move(what: str, *numbers: int) -> Move:
    return what, frozenset(numbers)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    "call",
    [
        [_move("fetch", 2, 3), _move("rebalance"), _move("rebalance", 2, 3), _move("fetch", 2)],
        [_move("fetch", 2), _move("rebalance"), _move("rebalance", 0, 1, 2), _move("fetch", 0, 1)],
        [_move("fetch", 2), _move("rebalance", 0, 1), _move("fetch", 0), _move("rebalance", 2)],
    ],
    ids=["regained", "regained with others", "another's for a moment"],
)
def test_regained_within_one_call(strategy: str, call: list[Move]) -> None:
    """Partitions are lost and given again within one call: nothing is read twice, or skipped."""
    _check(strategy, [[[_move("rebalance", 2, 3), _move("fetch", 2, 3)]], [call]])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_regained_between_two_calls(strategy: str) -> None:
    """What the batch has of a partition is thrown away when it is lost, though it comes back."""
    before = [_move("rebalance", 2, 3), _move("fetch", 2, 3)]
    lost = [_move("fetch", 2), _move("rebalance", 3), _move("rebalance", 2, 3), _move("fetch", 3)]
    _check(strategy, [[before, lost, [_move("fetch", 2, 3)]]])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_end_of_a_lost_partition(strategy: str) -> None:
    """An end that was reached before a partition was lost is told anew to its next owner."""
    before = [_move("rebalance", 2, 3), _move("fetch", 2, 3), _move("end", 2, 3)]
    lost = [_move("rebalance", 3), _move("rebalance", 2, 3)]
    _check(strategy, [[before, lost], [[*before, *lost]], [lost, [_move("end", 2)]]])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_end_of_a_partition_that_is_not_read_again_is_kept(strategy: str) -> None:
    """An end is not reported twice when another partition is rewound; the next batch commits it."""
    consumer = _Consumer(cooperative=strategy != "range")
    collector = _collector(consumer, strategy)
    first = [_move("rebalance", 0, 1), _move("fetch", 0, 1)]
    _commit(collector, consumer, _collect(collector, consumer, [first]))
    collector.rewind(_collect(collector, consumer, [[_move("fetch", 0), _move("end", 1)]]))
    batch = _collect(collector, consumer, [[_move("fetch", 0)]])
    assert batch.positions == {(TOPIC, 0): 3, (TOPIC, 1): 2}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_end_that_was_reported_before_a_seek_is_ignored(strategy: str) -> None:
    """An end reported before a seek does not count: the records that are read again come first."""
    consumer = _Consumer(cooperative=strategy != "range")
    collector = _collector(consumer, strategy)
    calls = [[_move("rebalance", 0)], [_move("fetch", 0)], [_move("fetch", 0), _move("end", 0)]]
    batch = _collect(collector, consumer, calls)
    assert batch.positions == {(TOPIC, 0): 3}
    collector.rewind(batch)
    consumer.left_over = [_Message(0, 3, KafkaError(KafkaError._PARTITION_EOF))]  # noqa: SLF001
    assert not _collect(collector, consumer, [[]]).positions
    assert _collect(collector, consumer, [[_move("fetch", 0)]]).positions == {(TOPIC, 0): 1}


@pytest.mark.parametrize("continues", [False, True])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_loss_in_a_partition_that_another_member_has(strategy: str, *, continues: bool) -> None:
    """The client may tell it in a later call than the one that took the partition away."""
    consumer = _Consumer(cooperative=strategy != "range")
    collector = _collector(consumer, strategy, continues=continues)
    _collect(collector, consumer, [[_move("rebalance", 0, 1)]])
    _collect(collector, consumer, [[_move("rebalance", 0)]])
    gone = KafkaError(KafkaError._AUTO_OFFSET_RESET)  # noqa: SLF001
    consumer.left_over = [_Message(1, 10, gone)]
    batch = _collect(collector, consumer, [[_move("fetch", 0)]])
    assert batch.positions == {(TOPIC, 0): 1}
    assert (batch.lost, set(collector.next)) == (0, {0})


@pytest.mark.parametrize("code", [KafkaError._BAD_MSG, KafkaError._BAD_COMPRESSION])  # noqa: SLF001
def test_damaged_records_are_reported_with_their_place(code: int) -> None:
    """Damaged records are reported with their place; what the client says next is not believed."""
    consumer = _Consumer(cooperative=True)
    collector = _collector(consumer, "cooperative-sticky")
    _collect(collector, consumer, [[_move("rebalance", 0)]])
    elsewhere = KafkaError(KafkaError._AUTO_OFFSET_RESET)  # noqa: SLF001
    consumer.left_over = [_Message(0, 5, KafkaError(code)), _Message(0, 2**60, elsewhere)]
    with pytest.raises(OutcomeUnknownError, match="raw/0: the records from offset 5 on can't be"):
        _collect(collector, consumer, [[]])


def test_end_that_is_told_while_nothing_is_taken() -> None:
    """What arrives while the breaker holds the worker is thrown away: its end, too."""
    consumer = _Consumer(cooperative=True)
    collector = _collector(consumer, "cooperative-sticky")
    _commit(collector, consumer, _collect(collector, consumer, [[_move("rebalance", 0)]]))
    consumer.calls = [[_move("fetch", 0), _move("end", 0)]]
    with patch("pipeline.kafka.group_consumer.time.monotonic", lambda: consumer.now):
        collector.pause(_LINGER_S)
    assert not _collect(collector, consumer, [[]]).positions


_NUMBERS: Final = st.frozensets(st.sampled_from(list(PARTITIONS)))
_MOVES: Final = st.tuples(st.sampled_from(["fetch", "fetch", "end", "rebalance"]), _NUMBERS)


@pytest.mark.parametrize("strategy", STRATEGIES)
@given(
    batches=st.lists(st.lists(st.lists(_MOVES, max_size=6), min_size=1, max_size=4), max_size=4),
    again=st.integers(0, 15),
)
def test_each_record_is_collected_once_and_in_order(
    strategy: str, batches: list[list[list[Move]]], again: int
) -> None:
    """Whatever happens inside the calls, every record is collected once, and in order.

    What is committed is never behind a record that was not collected; in the end it is behind
    everything, also where the last offsets have no record.
    """
    _check(strategy, batches, again)
