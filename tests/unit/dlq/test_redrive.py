"""The redrive loop on a store in memory that fails in every way: each event is sent once."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.reasons import Reason
from pipeline.core.record import Output, Role
from pipeline.dlq.ledger import Action, Entry, Ledger
from pipeline.dlq.redrive import LedgerWrite, Redriver, WriteResult
from pipeline.errors import (
    AbortableError,
    FencedError,
    OutcomeUnknownError,
    RecordRefusedError,
    TransportError,
)

TOPIC_ID = "t1"
FAULTS = (
    "abortable",
    "committed but unknown",
    "lost and unknown",
    "send fails",
    "abort fails",
    "slow",
    "opening fails",
)


def entry(number: int, *, action: Action = Action.REDRIVEN, source: str = "") -> Entry:
    """An entry for dead letter 0/number."""
    source = source or f"raw/0/{number}"
    return Entry(TOPIC_ID, 0, number, action, source, 5, "me", 1, "r1", "enriched")


def write(number: int, source: str = "", value: bytes = b"") -> LedgerWrite:
    """One output and its entry."""
    output = Output(Role.ENRICHED, value or b"%d" % number, None, (), 1, 0)
    return LedgerWrite([output], entry(number, source=source))


class Store:
    """What is committed; `faults` happen one at each commit, as long as there are some."""

    def __init__(
        self, faults: list[str] | None = None, refused: frozenset[bytes] = frozenset()
    ) -> None:
        self.outputs: list[bytes] = []
        self.entries: list[Entry] = []
        self.opened = 0
        self.transactions = 0
        self.faults = faults or []
        self.refused = refused

    def open(self) -> tuple[_Sender, Ledger]:
        """As an opener does it."""
        if self.faults[:1] == ["opening fails"]:
            self.faults.pop(0)
            raise OutcomeUnknownError("open")
        self.opened += 1
        ledger = Ledger(TOPIC_ID)
        for each in self.entries:
            ledger.add(each)
        return _Sender(self, self.opened), ledger


class _Sender:
    def __init__(self, store: Store, epoch: int) -> None:
        self._store, self._epoch = store, epoch
        self.is_spent = False
        self._outputs: list[bytes] = []
        self._entries: list[Entry] = []

    def begin(self) -> None:
        assert not self.is_spent
        self._outputs, self._entries = [], []

    def send(self, output: Output) -> None:
        if self._store.faults[:1] == ["send fails"]:
            self._store.faults.pop(0)
            raise AbortableError("send")
        self._outputs.append(output.value or b"")

    def note(self, entry: Entry) -> None:
        self._entries.append(entry)

    def commit(self) -> None:
        store = self._store
        if self._epoch != store.opened:
            raise FencedError("somebody else")
        if store.refused & set(self._outputs):
            raise RecordRefusedError("too large", Reason.ENRICHED_TOO_LARGE, Role.ENRICHED)
        fault = store.faults.pop(0) if store.faults else ""
        if fault == "abortable":
            raise AbortableError(fault)
        if fault != "lost and unknown":
            store.transactions += 1
            store.outputs += self._outputs
            store.entries += self._entries
        self.is_spent = fault == "slow"
        if fault in {"committed but unknown", "lost and unknown"}:
            raise OutcomeUnknownError(fault)

    def abort(self) -> None:
        self._outputs, self._entries = [], []
        if self._store.faults[:1] == ["abort fails"]:
            self._store.faults.pop(0)
            raise OutcomeUnknownError("abort")

    def close(self) -> None:
        pass


class _Stop(threading.Event):
    """Nobody waits in these tests."""

    def wait(self, timeout: float | None = None) -> bool:
        del timeout
        return False


class _StopAfter(_Stop):
    """Asked to stop after so many transactions; it is looked at before each."""

    def __init__(self, transactions: int) -> None:
        super().__init__()
        self._left = transactions

    def is_set(self) -> bool:
        self._left -= 1
        return self._left < 0


class _StopAtWait(_Stop):
    """Asked to stop during a wait: before each transaction there is one, and after each failure."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._left = number

    def wait(self, timeout: float | None = None) -> bool:
        del timeout
        self._left -= 1
        if not self._left:
            self.set()
        return self.is_set()


def run(store: Store, writes: list[LedgerWrite], **more: float) -> WriteResult:
    """Do them."""
    return Redriver(store, _Stop(), **more).run(lambda _: writes)  # type: ignore[arg-type]


@given(
    faults=st.lists(st.sampled_from(FAULTS), max_size=6),
    count=st.integers(0, 500),
    rate=st.sampled_from([None, 7.0, 1e6]),
)
def test_every_output_once(faults: list[str], count: int, rate: float | None) -> None:
    """Whatever fails, each dead letter's output is there once, and so is its entry."""
    store = Store(list(faults))
    done = run(store, [write(number) for number in range(count)], rate=rate)  # type: ignore[arg-type]
    assert store.outputs == [b"%d" % number for number in range(count)]
    assert [each.offset for each in store.entries] == list(range(count))
    assert (done.sent, done.already, done.refused.total()) == (count, 0, 0)


@given(faults=st.lists(st.sampled_from(FAULTS), max_size=6), count=st.integers(0, 500))
def test_every_discard_undone_once(faults: list[str], count: int) -> None:
    """Whatever fails, what was discarded is restored once, and what was sent stays sent."""
    store = Store()
    run(store, [LedgerWrite([], entry(number, action=Action.DISCARDED)) for number in range(count)])
    run(store, [write(count)])
    store.faults = list(faults)
    everyone = [
        LedgerWrite([], entry(number, action=Action.RESTORED)) for number in range(count + 1)
    ]
    done = run(store, everyone)
    assert done.sent + done.already == count + 1
    store.faults.clear()
    _, ledger = store.open()
    actions = [ledger.action(0, number) for number in range(count + 1)]
    assert actions == [None] * count + [Action.REDRIVEN]
    assert Counter(each.action for each in store.entries)[Action.RESTORED] == count


@given(stops=st.lists(st.integers(1, 5), max_size=5), count=st.integers(1, 60))
def test_ended_and_started_again(stops: list[int], count: int) -> None:
    """When it is stopped after any transaction and started again, it continues from there."""
    store = Store()
    for turns in [*stops, 1000]:
        redriver = Redriver(store, _StopAfter(turns), rate=10)
        redriver.run(lambda _: [write(number) for number in range(count)])
    assert store.outputs == [b"%d" % number for number in range(count)]


def test_two_dead_letters_of_one_event() -> None:
    """A second success for one event and target sends nothing."""
    store = Store()
    run(store, [write(1, source="raw/0/9")])
    done = run(store, [write(2, source="raw/0/9")])
    assert store.outputs == [b"1"]
    assert (done.sent, done.already) == (0, 1)


@pytest.mark.parametrize("source", ["", "raw/0/9"])
def test_two_in_one_transaction_count_once(source: str) -> None:
    """A dead letter that comes twice, or two of one event, count once in one transaction, too."""
    store = Store()
    second = write(2, source=source) if source else write(1)
    done = run(store, [write(1, source=source), second])
    assert (store.outputs, store.transactions) == ([b"1"], 1)
    assert (done.sent, done.already) == (1, 1)


def test_spent_sender_is_replaced() -> None:
    """A spent sender is replaced, and what others have done since then is taken into account."""
    store = Store(["slow"])

    def others(done: WriteResult) -> None:
        if done.sent == 1:
            store.entries.append(entry(1))

    redriver = Redriver(store, _Stop(), rate=1, on_commit=others)
    done = redriver.run(lambda _: [write(number) for number in range(3)])
    assert store.outputs == [b"0", b"2"]
    assert (done.sent, done.already, store.opened) == (2, 1, 2)


def test_large_outputs_are_divided() -> None:
    """The bytes of a transaction are bounded, unless one dead letter alone has more."""
    store = Store()
    sizes = [9, 9, 17, 1, 1]
    run(store, [write(n, value=bytes(size << 20)) for n, size in enumerate(sizes)])
    assert [len(value) >> 20 for value in store.outputs] == sizes
    assert store.transactions == 4


def test_stopped_while_it_fails() -> None:
    """A stop while Kafka fails is obeyed, and the result says what was done until then."""
    store = Store(["", *["lost and unknown"] * 50])
    redriver = Redriver(store, _StopAtWait(3), rate=2)
    done = redriver.run(lambda _: [write(number) for number in range(6)])
    assert (done.sent, done.stopped) == (2, True)
    assert len(store.outputs) == 2


def test_result_is_known_after_an_error() -> None:
    """What was committed before is known, also when the run ends with an error."""
    store = Store(["", *["abortable"] * 50])
    redriver = Redriver(store, _Stop(), rate=2)
    with pytest.raises(TransportError):
        redriver.run(lambda _: [write(number) for number in range(6)])
    assert (redriver.result.sent, redriver.result.stopped) == (2, True)
    assert len(store.outputs) == 2


def test_other_process_takes_over() -> None:
    """The older of two processes stops; what it committed stays, and nothing is sent twice."""
    store = Store()

    def take_over(_done: WriteResult) -> None:
        store.open()

    older = Redriver(store, _Stop(), rate=5, on_commit=take_over)
    with pytest.raises(FencedError):
        older.run(lambda _: [write(number) for number in range(20)])
    assert store.outputs == [b"%d" % number for number in range(5)]
    run(store, [write(number) for number in range(20)])
    assert store.outputs == [b"%d" % number for number in range(20)]


def test_refused_by_the_broker() -> None:
    """A dead letter that the broker refuses is skipped; all others are sent."""
    refused = frozenset({b"3", b"150", b"401"})
    store = Store(refused=refused)
    done = run(store, [write(number) for number in range(450)])
    assert Counter(store.outputs) == Counter(
        b"%d" % number for number in range(450) if b"%d" % number not in refused
    )
    assert done.refused == {"too large": 3}


def test_gives_up_after_many_failures() -> None:
    """After many failures in a row an error is raised, and nothing was written."""
    store = Store(["lost and unknown"] * 50)
    with pytest.raises(TransportError, match="gave up after 9 attempts: lost and unknown"):
        run(store, [write(1)])
    assert store.outputs == []


def test_ledger_is_asked_after_opening() -> None:
    """Writes are made from the ledger as it is once no other process can write."""
    store = Store()
    run(store, [write(1)])
    seen: list[Action | None] = []

    def writes(ledger: Ledger) -> list[LedgerWrite]:
        seen.append(ledger.action(0, 1))
        return []

    Redriver(store, _Stop()).run(writes)
    assert seen == [Action.REDRIVEN]
