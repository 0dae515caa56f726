"""What is collected while partitions come and go inside one call of the client's `consume`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

import pytest
from confluent_kafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from pipeline.edges.kafka.collector import Collector
from pipeline.edges.kafka.config import BatchLimits
from pipeline.edges.kafka.errors import Causes
from pipeline.edges.kafka.positions import Start

TOPIC: Final = "raw"
PARTITIONS: Final = range(4)
_LINGER_S: Final = 1.0
STRATEGIES: Final = ["range", "cooperative-sticky"]
Move = tuple[str, frozenset[int]]
"""What happens inside one call: `fetch` a record of each of these partitions, or `rebalance` to
hold exactly these."""


class _Message:
    """As far as a batch needs it."""

    def __init__(self, partition: int, offset: int) -> None:
        self._place = partition, offset

    def __len__(self) -> int:
        return 1

    def partition(self) -> int:
        return self._place[0]

    def offset(self) -> int:
        return self._place[1]

    def error(self) -> None:
        return None

    def topic(self) -> str:
        return TOPIC

    def timestamp(self) -> tuple[int, int]:
        return 1, 1

    def value(self) -> bytes:
        return b"x"

    key = headers = error


class _Consumer:
    """A client that does what it is told inside `consume`, as librdkafka may do it."""

    def __init__(self, *, cooperative: bool) -> None:
        self.committed: dict[int, int] = {}
        self.calls: list[Sequence[Move]] = []
        """What happens inside each of the next calls; with the last one the time is over."""
        self.now = 0.0
        self._cooperative = cooperative
        self._positions: dict[int, int] = {}

    def subscribe(self, _topics: list[str], **callbacks: Callable[..., None]) -> None:
        self._callbacks = callbacks

    def consume(self, _most: int, _timeout_s: float) -> list[_Message]:
        taken: list[_Message] = []
        for what, partitions in self.calls.pop(0):
            if what == "fetch":
                taken += [self._fetch(number) for number in sorted(partitions & self.held)]
            else:
                self._rebalance(partitions)
        if not self.calls:
            self.now += _LINGER_S
        return taken

    @property
    def held(self) -> set[int]:
        return set(self._positions)

    def _fetch(self, number: int) -> _Message:
        self._positions[number] += 1
        return _Message(number, self._positions[number] - 1)

    def _rebalance(self, wanted: frozenset[int]) -> None:
        lost = self.held - wanted if self._cooperative else self.held
        if lost:
            self._callbacks["on_revoke"](self, _places(lost))
            for number in lost:
                del self._positions[number]
        self._callbacks["on_assign"](self, _places(wanted - self.held))

    def assign(self, places: Iterable[TopicPartition]) -> None:
        self._positions = {place.partition: place.offset for place in places}

    def incremental_assign(self, places: Iterable[TopicPartition]) -> None:
        self._positions.update({place.partition: place.offset for place in places})

    def incremental_unassign(self, places: Iterable[TopicPartition]) -> None:
        for place in places:
            del self._positions[place.partition]


def _places(numbers: Iterable[int]) -> list[TopicPartition]:
    return [TopicPartition(TOPIC, number) for number in sorted(numbers)]


class _Committed:
    """Partitions start where they were committed."""

    group = "g"

    def of(self, consumer: Any, assigned: Sequence[TopicPartition], _topic_id: str) -> Start:
        places = [
            TopicPartition(TOPIC, each.partition, consumer.committed.get(each.partition, 0))
            for each in assigned
        ]
        return Start(places, [], [])


def _check(strategy: str, batches: Iterable[Sequence[Sequence[Move]]]) -> None:
    """Collect by some calls, then commit, again and again: every record once, and in order."""
    consumer = _Consumer(cooperative=strategy != "range")
    config = SimpleNamespace(
        raw_topic=TOPIC,
        batch=BatchLimits(10_000, 1_000_000, _LINGER_S),
        continue_on_data_loss=False,
        startup_timeout_s=1.0,
        consumer={"partition.assignment.strategy": strategy},
    )
    ids = SimpleNamespace(now=lambda: "", changed_from=lambda _: False)
    made: Any = (consumer, config, _Committed(), ids, Causes())
    collector = Collector(*made, partitions=len(PARTITIONS))
    for calls in [*batches, *[[[_move("fetch", *PARTITIONS)]]] * 2]:
        consumer.calls = list(calls)
        with patch("pipeline.edges.kafka.collector.time.monotonic", lambda: consumer.now):
            batch = collector.collect()
        for number in PARTITIONS:
            offsets = [record.offset for record in batch.records if record.partition == number]
            first = consumer.committed.get(number, 0)
            assert offsets == list(range(first, first + len(offsets)))
            assert batch.positions.get((TOPIC, number), first) == first + len(offsets)
        consumer.committed |= {place[1]: at for place, at in batch.positions.items()}
    assert consumer.held == set(collector.next)


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


_NUMBERS: Final = st.frozensets(st.sampled_from(list(PARTITIONS)))
_MOVES: Final = st.tuples(st.sampled_from(["fetch", "fetch", "rebalance"]), _NUMBERS)


@pytest.mark.parametrize("strategy", STRATEGIES)
@given(batches=st.lists(st.lists(st.lists(_MOVES, max_size=6), min_size=1, max_size=4), max_size=4))
def test_any_moves(strategy: str, batches: list[list[list[Move]]]) -> None:
    """Whatever happens inside the calls, every record is collected once, and in order."""
    _check(strategy, batches)
