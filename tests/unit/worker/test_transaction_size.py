"""A transaction ends when its outputs are enough, and is halved when it took too long."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.process import Processor
from pipeline.core.reasons import Reason
from pipeline.core.record import Output, Record, Role, output_bytes
from pipeline.errors import RecordRefusedError, TransactionTimeoutError, TransportError
from pipeline.worker.memory_broker import (
    Aborted,
    Begun,
    Committed,
    MemoryBroker,
    MemorySession,
    Sent,
)
from pipeline.worker.transaction_size import TransactionHalving, TransactionLimits, TransactionSize
from tests.hostile import EVENT
from tests.unit.worker.harness import FixedClock, NoWait, Remembering, make_worker, work

TOPIC = "track.raw"
NO_LIMIT = TransactionLimits(10**9, 10**9, 1e9)


def _envelope(items: int, name: str = "Seen") -> bytes:
    event = {"event": name, "userId": "u1"}
    return json.dumps({"batch": [event] * items}).encode()


def _filled(*items: int, partitions: int = 1) -> MemoryBroker:
    """Envelopes of so many items, over partitions in turn."""
    broker = MemoryBroker(partitions=partitions)
    for number, each in enumerate(items):
        broker.append(_envelope(each), key=b"u1", partition=number % partitions)
    return broker


def _place(output: Output) -> tuple[int, int]:
    """Partition and offset of the record that an output is from."""
    headers = dict(output.headers)
    source = headers.get(TrackHeader.SOURCE) or headers.get(DlqHeader.SOURCE) or b""
    return int(source.split(b"/")[1]), int(source.split(b"/")[2])


def _transactions(broker: MemoryBroker) -> list[tuple[list[Output], dict[int, int]]]:
    """Outputs and positions of each committed transaction."""
    found: list[tuple[list[Output], dict[int, int]]] = []
    outputs: list[Output] = []
    for entry in broker.diary:
        match entry:
            case Begun() | Aborted():
                outputs = []
            case Sent(output):
                outputs.append(output)
            case Committed(positions, _):
                found.append((outputs, {number: at for (_, number), at in positions.items()}))
            case _:
                pass
    return found


def test_a_transaction_ends_when_its_outputs_are_enough() -> None:
    """The rest of the batch goes into further transactions; outputs of a record stay together."""
    broker = _filled(*[5] * 8)
    meter = work(broker, 8, limits=NO_LIMIT._replace(outputs=12))
    assert [len(outputs) for outputs, _ in _transactions(broker)] == [15, 15, 10]
    assert [positions for _, positions in _transactions(broker)] == [{0: 3}, {0: 6}, {0: 8}]
    assert [batch.counts.records for batch in meter.batches] == [3, 3, 2]
    assert [len(batch.records) for batch in meter.batches] == [3, 3, 2]
    assert [batch.expected for batch in meter.batches] == [15, 15, 10]
    assert meter.recoveries == []


def test_keys_and_headers_count_as_bytes_of_a_transaction() -> None:
    """The size of a transaction is that of whole outputs."""
    broker = MemoryBroker()
    for _ in range(24):
        broker.append(EVENT, key=b"k" * 1000, headers=[("h", b"x" * 1000)])
    work(broker, 24, limits=NO_LIMIT._replace(output_bytes=30_000))
    sizes = [sum(map(output_bytes, outputs)) for outputs, _ in _transactions(broker)]
    assert len(sizes) == 2
    assert sizes[0] > 30_000 > 16 * 1000


class _Slow(Processor):
    """Takes four seconds for a record."""

    def __init__(self, clock: FixedClock) -> None:
        super().__init__(ContractSettings(), Identity(app="track-pipeline/test", group="g"))
        self._of_test = clock

    def process(self, record: Record, now: int) -> tuple[Output, ...]:
        self._of_test.time += 4_000
        return super().process(record, now)


def test_a_transaction_ends_after_a_share_of_its_timeout() -> None:
    """Records that take long to process are committed before the broker ends the transaction."""
    broker, stop, clock = _filled(*[2] * 7), NoWait(), FixedClock()
    limits = NO_LIMIT._replace(seconds=10.0)
    meter = Remembering(stop, enough=7)
    make_worker(broker, _Slow(clock), meter, clock=clock, limits=limits).run(stop)
    assert [positions for _, positions in _transactions(broker)] == [{0: 3}, {0: 6}, {0: 7}]


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6)), min_size=1, max_size=40),
    st.integers(1, 20),
)
def test_offsets_are_those_of_the_records_in_the_transaction(
    sent: list[tuple[int, int]], most: int
) -> None:
    """Each transaction commits, by partition, exactly the records whose outputs are in it."""
    broker = MemoryBroker(partitions=3)
    for partition, items in sent:
        broker.append(_envelope(items) if items else EVENT, partition=partition)
    broker.append_marker(1)
    work(broker, len(sent), limits=NO_LIMIT._replace(outputs=most), to_end=True)
    done = dict.fromkeys(range(3), 0)
    seen: list[Output] = []
    for outputs, positions in _transactions(broker):
        covered = [
            record
            for number, end in positions.items()
            for record in broker.raw[number][done[number] : end]
            if record is not None
        ]
        assert {_place(output) for output in outputs} == {(r.partition, r.offset) for r in covered}
        done |= positions
        seen += outputs
    assert done == {number: len(log) for number, log in enumerate(broker.raw)}
    assert seen == broker.outputs
    assert len(seen) == sum(max(1, items) for _, items in sent)


class _ImpatientSession(MemorySession):
    """Its commits of more than `most` outputs take too long."""

    most = 0

    def commit(self, *args: object, **kwargs: object) -> None:
        """See `ports.Session`."""
        if len(self._pending) > self.most:
            raise TransactionTimeoutError("committing: too long")
        super().commit(*args, **kwargs)  # type: ignore[arg-type]


class _ImpatientBroker(MemoryBroker):
    """Opens such sessions."""

    def __init__(self, most: int) -> None:
        super().__init__(partitions=2)
        self._most = most

    def open(self) -> MemorySession:
        """See `ports.Broker`."""
        super().open()
        session = _ImpatientSession(self, self.epoch)
        session.most = self._most
        return session


def test_a_transaction_that_took_too_long_is_halved() -> None:
    """Half of its records are tried, and again half, until one is committed: no reset counts."""
    broker = _ImpatientBroker(25)
    for number in range(8):
        broker.append(_envelope(10), partition=number % 2)
    meter = work(broker, 8, max_resets=0)
    assert len(broker.outputs) == 80
    assert meter.isolations == []
    assert [how for how, _ in meter.recoveries] == ["hard reset"] * len(meter.recoveries)
    assert meter.recoveries[0][1].startswith("committing: too long. It had 80 outputs (")
    assert meter.recoveries[0][1].endswith(
        " MB) of 8 records; it is tried again with half of the records"
    )
    assert "paused" not in meter.recoveries[0][1]


def test_transactions_grow_again_after_one_that_took_too_long() -> None:
    """Each commit doubles the number of records, so a slow minute is soon forgotten."""
    broker = MemoryBroker()
    for _ in range(300):
        broker.append(EVENT)
    broker.fail("commit", TransactionTimeoutError("committing: too long"))
    meter = work(broker, 300)
    assert [batch.counts.records for batch in meter.batches] == [50, 50, 100, 100]


@pytest.mark.parametrize("at", range(6))
def test_a_record_that_alone_takes_too_long_is_dead_lettered(at: int) -> None:
    """A large record is tried twice alone, then dead-lettered; its neighbours are enriched."""
    broker = _ImpatientBroker(40)
    for number in range(6):
        broker.append(_envelope(50 if number == at else 5), partition=number % 2)
    meter = work(broker, 6, max_resets=0, limits=NO_LIMIT._replace(outputs=30))
    (dead_letter,) = (output for output in broker.outputs if output.role is Role.DEAD_LETTER)
    assert (dead_letter.reason, dead_letter.value) == ("batch_too_large", _envelope(50))
    assert dict(dead_letter.headers)[DlqHeader.STAGE] == b"produce"
    assert len(broker.outputs) == 5 * 5 + 1
    assert [record.offset for record, _ in meter.isolations] == [at // 2]
    assert "50 outputs" in meter.isolations[0][1]
    for partition in range(2):
        own = [_place(output)[1] for output in broker.outputs if output.partition == partition]
        assert own == sorted(own)


def test_a_small_transaction_that_never_ends_stops_the_worker() -> None:
    """A record of few outputs is not to blame: the worker says so, and gives up in the end."""
    broker = _ImpatientBroker(0)
    broker.append(EVENT)
    with pytest.raises(TransportError, match=r"gave up after 3 .* 1 output \(.* machine paused"):
        work(broker, 1, max_resets=3)
    assert broker.outputs == []
    assert broker.committed[TOPIC, 0] == 0


def test_a_rejected_record_is_looked_for_in_its_transaction_alone() -> None:
    """Records that were not in the rejected transaction are not searched."""
    broker = _filled(*[5] * 8)
    refused = RecordRefusedError("too large", Reason.ENRICHED_TOO_LARGE, Role.ENRICHED)
    broker.fail("commit", refused)
    meter = work(broker, 8, limits=NO_LIMIT._replace(outputs=18))
    assert meter.bisections == [4]
    ends = [positions[0] for _, positions in _transactions(broker)]
    assert ends == [2, 4, 8]
    assert all(first < second for first, second in pairwise(ends))


def test_a_dead_letter_that_takes_too_long_counts_as_an_attempt() -> None:
    """Once a record is to become a dead letter, nothing gets smaller: the attempts are counted."""
    limits = TransactionLimits(outputs=10, output_bytes=10, seconds=1.0)
    halving = TransactionHalving(limits)
    record = Record(b"{}", None, (), 1, "raw", 0, 7)
    steps = [halving.timed_out(TransactionSize(1, 1, 1_000), record) for _ in range(4)]
    assert [step.is_halved for step in steps] == [True, True, False, False]
