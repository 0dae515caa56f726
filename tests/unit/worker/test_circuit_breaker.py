"""The breaker: armed by a change, tripped by a rise, remembered beside the offsets."""

from __future__ import annotations

from collections import Counter
from typing import Literal

import pytest

from pipeline.core.counts import OutcomeCounts
from pipeline.core.offset_metadata import OffsetMetadata, read_offset_metadata
from pipeline.errors import BreakerOpenError
from pipeline.ports import CircuitBreakerTrip
from pipeline.worker.circuit_breaker import CircuitBreaker, CircuitBreakerRules
from pipeline.worker.memory_broker import Begun, MemoryBroker, MemorySession, Paused
from tests.hostile import EVENT
from tests.unit.worker.harness import NoWait, Remembering, make_worker, processor

OLD, NEW = "1;aaaaaaaaaaaa", "1;bbbbbbbbbbbb"
RULES = CircuitBreakerRules("after-change", 1000, 0.1, None)


def _counts(enriched: int, invalid: int = 0, other_type: int = 0) -> OutcomeCounts:
    dead_letters = Counter({"revenue_invalid": invalid, "unsupported_type": other_type})
    return OutcomeCounts(records=enriched, enriched=enriched, dead_letters=+dead_letters)


def _note(
    contract: str, base: float = 0.02, left: int = 0, at: int = 1, topic: str = ""
) -> OffsetMetadata:
    return OffsetMetadata(contract, base, left, 0, at, origin=False, topic_id=topic)


def _breaker(
    *notes: OffsetMetadata, rules: CircuitBreakerRules = RULES, contract: str = NEW
) -> CircuitBreaker:
    made = CircuitBreaker(rules, contract, origin=False)
    made.inherit(notes)
    return made


@pytest.mark.parametrize(
    ("notes", "armed"),
    [
        pytest.param([], False, id="nothing was committed before"),
        pytest.param([_note(NEW)], False, id="the same contract"),
        pytest.param([_note(OLD)], True, id="another contract"),
        pytest.param([_note(NEW, left=300)], True, id="restarted in mid-window"),
        pytest.param([_note(OLD, at=1), _note(NEW, at=2)], False, id="idle partition, old note"),
        pytest.param([_note(NEW, at=1), _note(OLD, at=2)], True, id="rolled back"),
    ],
)
def test_only_a_change_arms_the_breaker(notes: list[OffsetMetadata], armed: bool) -> None:  # noqa: FBT001  a parameter
    """The newest offset metadata says which contract ran before."""
    assert _breaker(*notes).armed is armed


@pytest.mark.parametrize(
    ("mode", "accept", "armed"),
    [
        ("after-change", None, True),
        ("after-change", "bbbbbbbbbbbb", False),
        ("after-change", "aaaaaaaaaaaa", True),
        ("off", None, False),
        ("always", None, True),
    ],
)
def test_settings_let_a_changed_contract_run(
    mode: Literal["after-change", "always", "off"],
    accept: str | None,
    armed: bool,  # noqa: FBT001  a parameter
) -> None:
    """An accepted hash, or mode off, lets a changed contract run."""
    assert _breaker(_note(OLD), rules=RULES._replace(mode=mode, accept=accept)).armed is armed


@pytest.mark.parametrize(
    ("counts", "trips"),
    [
        pytest.param(_counts(439, 61), True, id="just above 12 %"),
        pytest.param(_counts(440, 60), False, id="12 % is not above base + rise"),
        pytest.param(_counts(0, 499), False, id="too few to judge"),
        pytest.param(_counts(0, 500), True, id="enough to judge"),
        pytest.param(_counts(500, 0, other_type=5000), False, id="other types do not count"),
    ],
)
def test_trips_when_the_share_rises(counts: OutcomeCounts, trips: bool) -> None:  # noqa: FBT001  a parameter
    """Base is 2 %, the allowed rise 10 points, judged from 500 events on."""
    assert (_breaker(_note(OLD)).watch(counts) is not None) is trips


def test_small_batches_add_up() -> None:
    """Events that were written while watching count too."""
    breaker = _breaker(_note(OLD))
    for _ in range(4):
        assert breaker.watch(_counts(60, 40)) is None
        breaker = breaker.after(_counts(60, 40))
    assert breaker.watch(_counts(60, 40)) == CircuitBreakerTrip(
        NEW, OLD, 200, 500, 0.02, {"revenue_invalid": 200}
    )


def test_the_breaker_is_disarmed_after_the_window() -> None:
    """After the window the change is accepted, and its share is the usual one."""
    breaker = _breaker(_note(OLD))
    breaker = breaker.after(_counts(950, 49))
    assert breaker.note(5).left == 1
    breaker = breaker.after(_counts(0, 1))
    assert not breaker.armed
    assert breaker.note(5) == _note(NEW, base=0.05, at=5)


def test_the_usual_share_is_learned() -> None:
    """The usual share is the average of all events at first, later a moving one over the window."""
    breaker = _breaker(contract=OLD)
    breaker = breaker.after(_counts(90, 10))
    breaker = breaker.after(_counts(100, 0))
    assert breaker.note(1).base == pytest.approx(0.05)
    for _ in range(200):
        breaker = breaker.after(_counts(80, 20))
    assert breaker.note(1).base == pytest.approx(0.2, abs=0.001)


def test_later_notes_change_nothing() -> None:
    """A partition that comes over from a worker of the old version does not arm it again."""
    breaker = _breaker(_note(NEW))
    breaker.inherit([_note(OLD, at=9)])
    assert not breaker.armed


def test_always_watches_once_it_knows_what_is_usual() -> None:
    """Mode always: armed after the first events, and again after each window."""
    breaker = CircuitBreaker(RULES._replace(mode="always"), NEW, origin=False)
    breaker = breaker.after(_counts(600))
    assert breaker.armed
    breaker = breaker.after(_counts(1000))
    assert breaker.armed
    assert breaker.watch(_counts(300, 300)) is not None


@pytest.mark.parametrize(
    "note",
    [
        _note(NEW),
        _note("2;0123456789ab", 1.0, 10_000, 1_800_000_000_000, "A-_+/9" * 3 + "wxyz")._replace(
            bad=77, origin=True
        ),
    ],
)
def test_notes_are_read_back(note: OffsetMetadata) -> None:
    """A note survives the way through the offset's metadata, far below Kafka's 4 KiB."""
    assert read_offset_metadata(note.encode()) == note
    assert len(note.encode()) < 200


@pytest.mark.parametrize("text", [None, "", "x", "1;a;base=2;left=0;at=0;origin=0", "é" * 100])
def test_metadata_of_other_programs_is_ignored(text: str | None) -> None:
    """Metadata written by other programs is not taken for ours."""
    assert read_offset_metadata(text) is None


BAD = b'{"event":"Order","userId":"u","properties":{"revenue":"1.234,56"}}'


def _after_a_bad_change() -> MemoryBroker:
    """600 good events were read while bad revenues passed; 2,000 bad ones wait."""
    broker = MemoryBroker(batch=200)
    for _ in range(600):
        broker.append(EVENT)
    _run(broker, verdict="warn")
    for _ in range(2000):
        broker.append(BAD)
    return broker


class _StopsWhenHeld(Remembering):
    """Asks for a stop when the breaker has tripped."""

    def tripped(self, trip: CircuitBreakerTrip) -> None:
        super().tripped(trip)
        self.stop.set()


def _run(
    broker: MemoryBroker, breaker: CircuitBreakerRules = RULES, verdict: str = "reject"
) -> Remembering:
    """Run to the end under this rule for bad revenues, or until the breaker trips."""
    stop = NoWait()
    meter = _StopsWhenHeld(stop, sum(map(len, broker.raw)) - sum(broker.committed.values()))
    contract = processor(rules={"revenue_invalid": verdict})
    make_worker(broker, contract, meter, rules=breaker).run(stop)
    return meter


def test_a_bad_change_writes_nothing_and_stays_in_the_group() -> None:
    """The batch that would exceed the share is not begun; the sentence says how to go on."""
    broker = _after_a_bad_change()
    begun = broker.diary.count(Begun())
    with pytest.raises(BreakerOpenError, match=r"revenue_invalid .* breaker\.accept=") as raised:
        _run(broker)
    assert processor().contract.partition(";")[2] in str(raised.value)
    assert broker.diary.count(Begun()) - begun == 2  # too few events to judge: those were written
    assert broker.committed["track.raw", 0] == 1000


def test_an_open_breaker_is_still_open_after_a_restart() -> None:
    """Events watched before a restart count: not one more batch is let through."""
    broker = _after_a_bad_change()
    for _ in range(3):
        with pytest.raises(BreakerOpenError, match=r"before a restart|revenue_invalid"):
            _run(broker)
    assert broker.committed["track.raw", 0] == 1000


def test_an_open_breaker_pauses_the_worker_until_it_is_stopped() -> None:
    """While the breaker is open, the worker stays in the group and reads nothing."""
    broker = _after_a_bad_change()
    stop = NoWait()
    meter = Remembering(stop, 10_000)
    assigned: list[Paused] = []

    class Counting(MemorySession):
        """Stops the worker after three holds."""

        def pause(self, seconds: float) -> None:
            super().pause(seconds)
            assigned.append(Paused())
            if len(assigned) == 3:
                stop.set()

    broker.open = lambda: Counting(broker, broker.epoch)  # type: ignore[method-assign]
    with pytest.raises(BreakerOpenError):
        make_worker(broker, processor(), meter, rules=RULES).run(stop)
    assert len(assigned) == 3
    assert len(meter.trips) == 1


def test_accepting_the_hash_lets_the_contract_run() -> None:
    """The operator's setting closes the breaker for this contract."""
    accepted = RULES._replace(accept=processor().contract.partition(";")[2])
    meter = _run(_after_a_bad_change(), accepted)
    assert meter.total.dead_letters == {"revenue_invalid": 2000}
    assert meter.trips == []


def test_positions_without_records_do_not_ask_the_breaker() -> None:
    """Such positions are committed while the breaker watches, also after a restart."""
    broker = _after_a_bad_change()
    waiting, broker.raw[0] = broker.raw[0][600:], broker.raw[0][:600]
    broker.append_marker()
    stop = NoWait()
    meter = _StopsWhenHeld(stop, 0, to_end=True)
    contract = processor(rules={"revenue_invalid": "reject"})
    make_worker(broker, contract, meter, rules=RULES).run(stop)
    assert broker.committed["track.raw", 0] == 601
    assert broker.notes["track.raw", 0].left == RULES.window
    for _ in waiting:
        broker.append(BAD)
    with pytest.raises(BreakerOpenError, match="revenue_invalid"):
        _run(broker)
    assert broker.committed["track.raw", 0] == 1001


def test_a_stricter_limit_does_not_delay_positions() -> None:
    """A stricter limit after a restart applies to the next records: now nothing is written."""
    broker = MemoryBroker()
    broker.append_marker()
    note = _note(processor().contract)._replace(left=1, bad=RULES.window - 1)
    broker.notes["track.raw", 0] = note
    stop = NoWait()
    meter = _StopsWhenHeld(stop, 0, to_end=True)
    make_worker(broker, processor(), meter, rules=RULES).run(stop)
    assert (broker.committed["track.raw", 0], meter.trips) == (1, [])
