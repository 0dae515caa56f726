"""What the worker does when something fails: the whole diary of the broker, call by call."""

from __future__ import annotations

import hashlib
import json
import threading
from contextlib import nullcontext
from typing import Literal

import pytest

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.counts import OutcomeCounts
from pipeline.core.formats import Formats
from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.offset_metadata import OffsetMetadata
from pipeline.core.process import Processor
from pipeline.core.reasons import Reason
from pipeline.core.record import Headers, Output, Record, Role
from pipeline.errors import (
    AbortableError,
    DataLossError,
    FencedError,
    OutcomeUnknownError,
    RecordRefusedError,
    RefusedError,
    RegistryUnavailableError,
    TooLargeError,
    TransportError,
)
from pipeline.ports import Batch, Lag, Session
from pipeline.worker.memory_broker import (
    Aborted,
    Begun,
    Committed,
    DiaryEntry,
    MemoryBroker,
    MemorySession,
    Rewound,
    Sent,
    SessionClosed,
    SessionOpened,
)
from tests.hostile import EVENT
from tests.unit.worker.harness import (
    LIMITS,
    NO_BREAKER,
    FixedClock,
    NoWait,
    Remembering,
    make_worker,
    processor,
    work,
)

TOO_LONG = b"{" * 201
FIRST = ("track.raw", 0)
NOTE = OffsetMetadata("1;0123456789ab", 0.0, 0, 0, 1, origin=False)


def _filled(count: int, batch: int = 100) -> MemoryBroker:
    broker = MemoryBroker(batch=batch)
    for _ in range(count):
        broker.append(EVENT, key=b"u1", timestamp=1_700_000_000_000)
    return broker


def _shape(diary: list[DiaryEntry]) -> list[str]:
    """The diary as words; sends are numbered by the offset of their record."""
    words = []
    for entry in diary:
        match entry:
            case Sent(output):
                words.append("sent " + _source(output).rsplit("/", 1)[1])
            case Committed(positions, _):
                words.append(f"committed {positions[FIRST]}")
            case Rewound(positions):
                words.append(f"rewound {positions[FIRST]}")
            case _:
                words.append(type(entry).__name__.removeprefix("Session").lower())
    return words


def _source(output: Output) -> str:
    headers = dict(output.headers)
    return (headers.get(TrackHeader.SOURCE) or headers.get(DlqHeader.SOURCE) or b"").decode()


def test_one_transaction_per_batch() -> None:
    """Collect, begin, send, commit with the offset behind the last record; then close."""
    broker = _filled(3, batch=2)
    work(broker, 3)
    assert _shape(broker.diary) == [
        "opened",
        *["begun", "sent 0", "sent 1", "committed 2"],
        *["begun", "sent 2", "committed 3"],
        "closed",
    ]


def test_an_empty_topic_opens_no_transaction() -> None:
    """A worker that reads nothing begins no transaction."""
    broker = _filled(0)
    work(broker, 0)
    assert Begun() not in broker.diary


class _Slow(Processor):
    """The contract; each record takes half a second, as when a registry is asked for its schema."""

    def __init__(self, clock: FixedClock) -> None:
        super().__init__(ContractSettings(), Identity(app="track-pipeline/test", group="g"))
        self._clock = clock

    def process(self, record: Record, now: int) -> tuple[Output, ...]:
        """As the contract."""
        self._clock.time += 500
        return super().process(record, now)


def test_the_rest_of_a_slow_batch_is_read_again() -> None:
    """A consumer that does not read for long loses its partitions, so a batch may not last."""
    broker, clock = _filled(20), FixedClock()
    stop = threading.Event()
    meter = Remembering(stop, 20)
    limits = LIMITS._replace(outputs=1)  # each eight records are a transaction
    worker = make_worker(broker, _Slow(clock), meter, clock=clock, limits=limits, max_batch_s=6.0)
    worker.run(stop)
    assert [word for word in _shape(broker.diary) if not word.startswith("sent")] == [
        "opened",
        *["begun", "committed 8"],
        *["begun", "committed 16", "rewound 16"],
        *["begun", "committed 20", "closed"],
    ]
    assert len(broker.outputs) == 20
    assert meter.recoveries == [], "nothing has failed"


@pytest.mark.parametrize("call", ["begin", "send", "commit"])
def test_a_lost_transaction_is_a_soft_reset(call: str) -> None:
    """A lost transaction is aborted, and the batch rewound and written again, once."""
    broker = _filled(2)
    broker.fail(call, AbortableError("lost"))
    meter = work(broker, 2)
    words = _shape(broker.diary)
    assert words[words.index("aborted") :] == [
        *["aborted", "rewound 0"],
        *["begun", "sent 0", "sent 1", "committed 2", "closed"],
    ]
    assert words.count("opened") == 1
    assert [_source(o) for o in broker.outputs] == ["track.raw/0/0", "track.raw/0/1"]
    assert meter.recoveries == [("soft reset", "lost")]


@pytest.mark.parametrize("mode", ["off", "always"])
def test_a_schema_that_cannot_be_looked_up_is_no_dead_letter(
    mode: Literal["off", "always"],
) -> None:
    """The registry's outage is waited for: the batch is read again, until it can be processed.

    The circuit breaker's look at the batch is no reason to leave the group.
    """
    outages = 2

    def read(value: bytes, headers: Headers) -> bytes:
        del headers
        nonlocal outages
        if outages:
            outages -= 1
            raise RegistryUnavailableError("the registry does not answer")
        return value

    broker = _filled(2)
    contract = Processor(ContractSettings(), Identity(app="test"), Formats(read=read))
    rules = NO_BREAKER._replace(mode=mode)
    meter = work(broker, 2, contract=contract, rules=rules)
    assert meter.recoveries == [("soft reset", "the registry does not answer")] * 2
    assert _shape(broker.diary).count("opened") == 1
    assert meter.crashes == []
    assert [output.role for output in broker.outputs] == [Role.ENRICHED] * 2


def test_a_worker_that_gives_up_says_so_once() -> None:
    """An outage that outlasts `max_resets` ends the worker, with the cause."""

    def read(value: bytes, headers: Headers) -> bytes:
        del value, headers
        raise RegistryUnavailableError("the registry does not answer")

    contract = Processor(ContractSettings(), Identity(app="test"), Formats(read=read))
    with pytest.raises(TransportError) as caught:
        work(_filled(2), 2, contract=contract)
    assert str(caught.value) == (
        "gave up after 3 attempts without a commit: the registry does not answer"
    )


def test_a_commit_ends_a_recovery() -> None:
    """However many resets there were, the recovery is reported once, with the commit."""
    broker = _filled(2)
    broker.fail("commit", AbortableError("lost"))
    broker.fail("commit", OutcomeUnknownError("worse"))
    meter = work(broker, 2)
    assert [how for how, _ in meter.recoveries] == ["soft reset", "hard reset"]
    assert meter.recovered_after == [2]


def test_reading_ends_a_recovery_with_nothing_to_commit() -> None:
    """Reading an assigned partition again is enough when nothing has to be committed."""
    broker = _filled(0)
    broker.fail("collect", OutcomeUnknownError("gone"))
    stop = NoWait()
    meter = Remembering(stop, 1)
    meter.recovered = stop.set  # type: ignore[method-assign]
    make_worker(broker, processor(), meter).run(stop)
    assert [how for how, _ in meter.recoveries] == ["hard reset"]


@pytest.mark.parametrize(("calm_ms", "is_over"), [(59_999, False), (60_000, True)])
def test_resets_of_an_idle_worker_do_not_add_up(calm_ms: int, *, is_over: bool) -> None:
    """A minute of reading ends a row of resets, although there was nothing to commit."""
    broker, stop, clock = _filled(0), NoWait(), FixedClock()
    broker.fail("collect", OutcomeUnknownError("gone"))
    broker.spare("collect")
    broker.spare("collect")
    broker.fail("collect", OutcomeUnknownError("gone again"))
    meter = Remembering(stop, 1)

    def later(session: Session) -> None:
        """Between the two failures; after the second the worker is stopped."""
        del session
        if len(meter.recoveries) == 2:
            stop.set()
        clock.time += calm_ms

    meter.tick = later  # type: ignore[method-assign]
    worker = make_worker(broker, processor(), meter, max_resets=1, clock=clock)
    with nullcontext() if is_over else pytest.raises(TransportError, match="gave up after 1"):
        worker.run(stop)
    assert len(meter.recoveries) == (2 if is_over else 1)


def test_time_between_two_attempts_does_not_count_as_reading() -> None:
    """However long opening a session takes, a worker that can't commit gives up in the end."""
    broker, stop, clock = _filled(2), NoWait(), FixedClock()
    for _ in range(10):
        broker.fail("commit", OutcomeUnknownError("no answer"))
    meter = Remembering(stop, 2)
    opened = broker.open

    def slowly() -> MemorySession:
        clock.time += 61_000
        session, first = opened(), True
        collected = session.collect

        def nothing_at_first() -> Batch:
            nonlocal first
            batch = Batch([], {}) if first else collected()
            first = False
            return batch

        session.collect = nothing_at_first  # type: ignore[method-assign]
        return session

    broker.open = slowly  # type: ignore[method-assign]
    with pytest.raises(TransportError, match="gave up after 3 attempts"):
        make_worker(broker, processor(), meter, max_resets=3, clock=clock).run(stop)
    assert not meter.recovered_after  # reading an empty batch does not show that commits work


def test_a_loss_is_counted_with_the_commit_behind_it() -> None:
    """A session that begins anew finds the same loss again; one that rewinds does not."""
    broker, stop = _filled(2), NoWait()
    broker.fail("commit", AbortableError("lost"))
    broker.fail("commit", OutcomeUnknownError("no answer"))
    meter = Remembering(stop, 2)
    opened = broker.open

    def with_a_loss() -> MemorySession:
        session, lost = opened(), 7
        collected = session.collect

        def collect() -> Batch:
            nonlocal lost
            batch = collected()._replace(lost=lost)
            lost = 0
            return batch

        session.collect = collect  # type: ignore[method-assign]
        return session

    broker.open = with_a_loss  # type: ignore[method-assign]
    make_worker(broker, processor(), meter).run(stop)
    assert [how for how, _ in meter.recoveries] == ["soft reset", "hard reset"]
    assert meter.losses == [7]


def test_partitions_are_assigned_as_long_as_the_session_lasts() -> None:
    """A dropped session has no partitions; the next one reports its own."""
    broker = _filled(2, batch=1)
    broker.spare("commit")
    broker.fail("commit", OutcomeUnknownError("no answer"))
    meter = work(broker, 2)
    assert meter.assignments == [[0], [], [0]]


@pytest.mark.parametrize("takes_effect", [False, True])
def test_unknown_outcome_of_a_commit(takes_effect: bool) -> None:  # noqa: FBT001  a parameter
    """After a commit whose answer is lost only the broker's offsets count, whatever they say."""
    broker = _filled(4, batch=2)
    broker.fail("commit", OutcomeUnknownError("no answer"), takes_effect=takes_effect)
    work(broker, 2 if takes_effect else 4)
    assert [_source(o) for o in broker.outputs] == [f"track.raw/0/{i}" for i in range(4)]
    assert broker.diary.count(SessionOpened()) == 2
    assert Aborted() not in broker.diary


@pytest.mark.parametrize("call", ["abort", "rewind"])
def test_a_failed_soft_reset_is_a_hard_one(call: str) -> None:
    """When aborting or rewinding fails too, the session is dropped and the batch read again."""
    broker = _filled(2)
    broker.fail("commit", AbortableError("lost"))
    broker.fail(call, OutcomeUnknownError("worse"))
    meter = work(broker, 2)
    assert [how for how, _ in meter.recoveries] == ["hard reset"]
    assert len(broker.outputs) == 2
    assert broker.diary.count(SessionClosed()) == 2


def test_gives_up_after_resets_without_a_commit() -> None:
    """The limit counts resets in a row; the error names the last cause."""
    broker = _filled(1)
    for _ in range(4):
        broker.fail("collect", OutcomeUnknownError("broker down"))
    with pytest.raises(TransportError, match=r"3 attempts .* broker down"):
        work(broker, 1, max_resets=3)
    assert broker.outputs == []


def test_a_commit_forgives_earlier_resets() -> None:
    """Resets with commits between them never add up."""
    broker = _filled(6, batch=1)
    for _ in range(3):
        broker.fail("begin", OutcomeUnknownError("flaky"))
        broker.spare("begin")
    meter = work(broker, 3, max_resets=1)
    assert len(broker.outputs) == 3
    assert len(meter.recoveries) == 3


@pytest.mark.parametrize("error", [RefusedError, FencedError, DataLossError])
@pytest.mark.parametrize("call", ["open", "collect", "send", "commit"])
def test_faults_for_the_operator_stop_the_worker_at_once(
    call: str, error: type[TransportError]
) -> None:
    """Errors that only the operator can resolve are raised as they are; nothing is retried."""
    broker = _filled(1)
    broker.fail(call, error("do this"))
    with pytest.raises(error, match="do this"):
        work(broker, 1)
    assert broker.outputs == []
    assert broker.committed == {FIRST: 0}


def test_an_older_session_is_fenced() -> None:
    """A second worker with the same transactional id ends the first; no record is doubled."""
    broker = _filled(2)
    older = broker.open()
    batch = older.collect()
    older.begin()
    work(broker, 2)
    with pytest.raises(FencedError):
        older.commit(batch.positions, NOTE, OutcomeCounts())
    assert len(broker.outputs) == 2


class _Broken(Processor):
    """A contract with a bug."""

    def process(self, record: Record, now: int) -> tuple[Output, ...]:
        """Raise on the second record."""
        if record.offset == 1:
            raise ZeroDivisionError
        return super().process(record, now)


def test_a_record_that_raises_is_dead_lettered() -> None:
    """A record for which the contract raises is kept byte for byte, and does not stop the rest."""
    broker = _filled(3)
    broken = _Broken(ContractSettings(), Identity(app="track-pipeline/test", group="g"))
    meter = work(broker, 3, contract=broken)
    assert [(o.role, o.reason) for o in broker.outputs] == [
        (Role.ENRICHED, ""),
        (Role.DEAD_LETTER, "processing_error"),
        (Role.ENRICHED, ""),
    ]
    dead_letter = broker.outputs[1]
    assert dead_letter.value == EVENT
    assert dict(dead_letter.headers)[DlqHeader.STAGE] == b"crash"
    assert [record.offset for record in meter.crashes] == [1]


class _NarrowSession(MemorySession):
    """Takes no output over 200 bytes."""

    def send(self, output: Output) -> None:
        """See `ports.Session`."""
        if len(output.value or b"") > 200:
            raise TooLargeError
        super().send(output)


class _NarrowBroker(MemoryBroker):
    """Its topics take no output over 200 bytes."""

    def open(self) -> MemorySession:
        """See `ports.Broker`."""
        super().open()
        return _NarrowSession(self, self.epoch)


def test_a_dead_letter_that_does_not_fit_leaves_a_pointer() -> None:
    """A dead letter that its topic can't take is replaced by where the raw record is."""
    broker = _NarrowBroker()
    broker.append(TOO_LONG)
    work(broker, 1)
    (pointer,) = broker.outputs
    assert json.loads(pointer.value or b"") == {
        DlqHeader.POINTER: "track.raw/0/0",
        "sha256": hashlib.sha256(TOO_LONG).hexdigest(),
        "size": 201,
    }
    headers = dict(pointer.headers)
    assert headers[DlqHeader.POINTER] == b"1"
    assert headers[DlqHeader.REASON] == b"invalid_json"


def test_dropped_events_are_counted_and_committed() -> None:
    """An event that a setting drops is written nowhere, but counted, and its offset committed."""
    broker = MemoryBroker()
    broker.append(b'{"type":"page","userId":"u1"}')
    meter = work(broker, 1, contract=processor(on_other_type="drop"))
    assert broker.outputs == []
    assert meter.total.dropped == {"unsupported_type": 1}
    assert broker.committed == {FIRST: 1}


class _StopsInMidBatch(Processor):
    """Asks for a stop while the first record is processed."""

    def __init__(self, stop: threading.Event) -> None:
        super().__init__(ContractSettings(), Identity(app="track-pipeline/test", group="g"))
        self._asked = stop

    def process(self, record: Record, now: int) -> tuple[Output, ...]:
        self._asked.set()
        return super().process(record, now)


def test_a_stop_finishes_the_current_transaction() -> None:
    """A batch that is being written when a stop is requested is committed, and no other begun."""
    broker, stop = _filled(10, batch=4), NoWait()
    meter = Remembering(stop, enough=10)
    make_worker(broker, _StopsInMidBatch(stop), meter).run(stop)
    sent = [f"sent {offset}" for offset in range(4)]
    assert _shape(broker.diary) == ["opened", "begun", *sent, "committed 4", "closed"]


def test_positions_behind_markers_are_committed() -> None:
    """Offsets without a record are committed too: with records, or later by themselves."""
    broker = _filled(1)
    broker.append_marker()
    work(broker, 1, to_end=True)
    broker.append_marker()
    meter = work(broker, 0, to_end=True)
    first = ["opened", "begun", "sent 0", "committed 2", "closed"]
    assert _shape(broker.diary) == [*first, "opened", "begun", "committed 3", "closed"]
    assert meter.total == OutcomeCounts()


class _Turns(Remembering):
    """Asks for a stop after so many turns of the loop."""

    def __init__(self, stop: threading.Event, turns: int) -> None:
        super().__init__(stop, 1_000_000)
        self._turns = turns

    def tick(self, session: Session) -> None:
        """See `ports.Meter`."""
        super().tick(session)
        if len(self.lags) == self._turns:
            self.stop.set()


def test_nothing_is_committed_where_nothing_moved() -> None:
    """A worker at the end of its topic begins no transactions."""
    broker, stop = _filled(1), NoWait()
    broker.append_marker()
    make_worker(broker, processor(), _Turns(stop, 20)).run(stop)
    assert _shape(broker.diary) == ["opened", "begun", "sent 0", "committed 2", "closed"]


def test_a_bisected_batch_ends_behind_the_marker() -> None:
    """A bisected batch ends where the whole batch would have ended, behind the marker."""
    broker = _filled(3)
    broker.append_marker()
    refused = RecordRefusedError("too large", Reason.ENRICHED_TOO_LARGE, Role.ENRICHED)
    broker.fail("commit", refused)
    meter = work(broker, 3, to_end=True)
    assert meter.left == [2], "what is not committed yet still waits"
    commits = [word for word in _shape(broker.diary) if word.startswith("committed")]
    assert commits == ["committed 1", "committed 4"]


def test_positions_whose_commit_failed_are_committed_later() -> None:
    """Positions without records are committed with the next transaction."""
    broker = _filled(1)
    work(broker, 1)
    broker.append_marker()
    broker.fail("commit", AbortableError("lost"))
    work(broker, 0, to_end=True)
    assert broker.committed[FIRST] == 2


def test_every_iteration_reports_the_lag() -> None:
    """The meter is told the number of offsets that are not committed yet."""
    broker = _filled(5, batch=2)
    assert work(broker, 5).lags == [Lag(1, 3), Lag(1, 1), Lag(1, 0)]


def test_a_transaction_is_reported_with_its_records_and_revenue() -> None:
    """The meter gets what was committed: records, revenue by currency, events counted apart."""
    broker = MemoryBroker()
    for value in (
        b'{"event":"a","userId":"u","properties":{"revenue":"12.50","currency":"eur"}}',
        b'{"event":"a","userId":"u","properties":{"revenue":-3}}',
        b'{"event":"a","properties":{"revenue":7}}',
        b'{"batch":[{"event":"a","userId":"u","properties":{"revenue":1}},{"event":5}]}',
    ):
        broker.append(value)
    meter = work(broker, 4)
    (batch,) = meter.batches
    assert [record.offset for record in batch.records] == [0, 1, 2, 3]
    assert batch.revenue == {"EUR": 12.5, "USD": 1.0}
    assert batch.blocked_revenue == {"USD": 7.0}
    assert batch.expected == batch.counts.events == 5
    assert meter.phases.keys() == {"wait", "read", "process", "send", "commit"}


def test_an_aborted_transaction_is_reported_and_counts_nothing() -> None:
    """What was aborted is processed again, and is counted once."""
    broker = _filled(3)
    broker.fail("commit", AbortableError("lost"))
    meter = work(broker, 3)
    assert (meter.aborts, len(meter.batches), meter.total.enriched) == (1, 1, 3)
