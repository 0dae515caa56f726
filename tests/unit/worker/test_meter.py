"""What a worker's log says, and when: statistics, partitions, what is in the way, and its end."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import structlog

from pipeline.core.counts import OutcomeCounts
from pipeline.errors import OutcomeUnknownError
from pipeline.ports import CircuitBreakerTrip, ClientFigures, Stall
from pipeline.worker.memory_broker import MemoryBroker
from pipeline.worker.observe import LogMeter, reporting
from tests.unit.worker.harness import committed_batch

INTERVAL_S = 30.0
DOWN = Stall("no Kafka broker answers at kafka:9092")
IDLE = Stall("more members than partitions", harmless=True)
TRIP = CircuitBreakerTrip("v2;b", "v1;a", 300, 500, 0.01, {"revenue_invalid": 300})


class Log:
    """A meter, its clock, and the lines that it has logged."""

    def __init__(self, lines: list[Any]) -> None:
        self.now = 100.0
        self.meter = LogMeter(INTERVAL_S, lambda: self.now)
        self._lines = lines

    def said(self, *names: str) -> list[tuple[Any, ...]]:
        """Event, level and these values of the lines since the last call."""
        taken = [
            (line["event"], line["log_level"], *(line[name] for name in names if name in line))
            for line in self._lines
        ]
        self._lines.clear()
        return taken

    def interval(self) -> None:
        """One goes by; nobody ticks."""
        self.now += INTERVAL_S
        self.meter.report()


@pytest.fixture
def log() -> Iterator[Log]:
    """What a meter logs."""
    with structlog.testing.capture_logs() as lines:
        yield Log(lines)


def test_statistics_are_logged_while_the_loop_is_blocked(log: Log) -> None:
    """A line is logged in each interval; the lag is not known then."""
    log.meter.committed(committed_batch(OutcomeCounts(records=7, enriched=7)))
    log.meter.tick(MemoryBroker().open())
    log.interval()
    log.interval()
    assert log.said("consumed", "lag") == [
        ("statistics", "info", 7, None),
        ("statistics", "info", 0, None),
    ]


def test_statistics_have_the_last_lag_of_a_running_loop(log: Log) -> None:
    """The lag is the one that was reported last."""
    broker = MemoryBroker()
    broker.append(b"{}")
    log.now += INTERVAL_S
    log.meter.tick(broker.open())
    log.meter.report()
    assert log.said("lag") == [("statistics", "info", 1)]


def test_changes_of_the_assignment_are_logged(log: Log) -> None:
    """A line for each change says which partitions changed, and how many are assigned now."""
    for assigned in ({2, 0, 1, 7}, {0, 1, 2, 7}, {0, 1}, {1, 5}, ()):
        log.meter.assigned(assigned)
    assert log.said("partitions", "held") == [
        ("assigned", "info", "0-2, 7", 4),
        ("revoked", "info", "2, 7", 2),
        ("revoked", "info", "0", 2),
        ("assigned", "info", "5", 2),
        ("revoked", "info", "1, 5", 0),
    ]


def test_a_stall_is_logged_until_it_is_over(log: Log) -> None:
    """A stall is logged at once and in each interval, and at its end how long it lasted."""
    log.meter.waits(DOWN)
    log.meter.waits(DOWN)
    assert log.said("cause", "seconds") == [("waiting", "warning", DOWN.cause, 0.0)]
    log.interval()
    assert log.said("cause", "seconds")[1:] == [("waiting", "warning", DOWN.cause, INTERVAL_S)]
    log.now += 5
    log.meter.waits(None)
    log.meter.waits(None)
    assert log.said("cause", "after_s") == [("recovered", "info", DOWN.cause, INTERVAL_S + 5)]
    log.interval()
    assert log.said() == [("statistics", "info")]


def test_a_stall_is_not_logged_twice_in_a_moment(log: Log) -> None:
    """A stall that was just logged is not repeated, though its interval ends at that moment."""
    log.now += INTERVAL_S
    log.meter.waits(DOWN)
    log.meter.report()
    assert [line[0] for line in log.said()] == ["waiting", "statistics"]


def test_another_cause_is_logged_at_once(log: Log) -> None:
    """A new cause belongs to the same stall; `recovered` names the last one."""
    log.meter.waits(DOWN)
    log.now += 3
    log.meter.waits(Stall("rebalancing"))
    log.meter.waits(None)
    assert log.said("cause") == [
        ("waiting", "warning", DOWN.cause),
        ("waiting", "warning", "rebalancing"),
        ("recovered", "info", "rebalancing"),
    ]


def test_a_harmless_stall_is_logged_once(log: Log) -> None:
    """A worker that is idle for lack of partitions is no reason for alarm."""
    log.meter.waits(IDLE)
    log.interval()
    log.meter.waits(None)
    assert log.said("cause") == [("waiting", "info", IDLE.cause), ("statistics", "info")]
    log.meter.waits(DOWN)
    log.meter.waits(IDLE)
    assert log.said("cause") == [
        ("waiting", "warning", DOWN.cause),
        ("recovered", "info", DOWN.cause),
        ("waiting", "info", IDLE.cause),
    ]


def test_recovery_counts_from_the_first_reset(log: Log) -> None:
    """The duration counts from the first reset, and no other stall may be left."""
    log.meter.recovering("soft reset", OutcomeUnknownError("lost"), 1)
    log.now += 2
    log.meter.recovering("hard reset", OutcomeUnknownError("worse"), 2)
    log.meter.waits(DOWN)
    log.meter.recovered()
    log.now += 2
    log.meter.waits(None)
    assert log.said("cause", "after_s") == [
        ("recovering", "warning", "lost"),
        ("recovering", "warning", "worse"),
        ("waiting", "warning", DOWN.cause),
        ("recovered", "info", DOWN.cause, 4.0),
    ]
    log.meter.recovered()
    assert log.said() == []


def test_open_breaker_is_told_in_each_interval(log: Log) -> None:
    """Only a person ends it."""
    log.meter.tripped(TRIP)
    log.interval()
    assert [line[0] for line in log.said()] == ["breaker_open", "statistics", "breaker_open"]


class _Watch:
    """Finds what it is told to find."""

    def __init__(self) -> None:
        self.finds: Stall | None = DOWN
        self.looked = threading.Event()

    def look(self) -> Stall | None:
        self.looked.set()
        return self.finds


class _Hearing(LogMeter):
    """Remembers the stalls that are reported to it."""

    def __init__(self) -> None:
        super().__init__(INTERVAL_S)
        self.stalls: list[Stall | None] = []
        self.told = threading.Event()
        self.reported = threading.Event()

    def waits(self, stall: Stall | None) -> None:
        self.stalls.append(stall)
        self.told.set()

    def report(self) -> None:
        self.reported.set()


class _NothingWaits:
    """Finds no record that waits."""

    def timestamps(self, positions: Mapping[int, int]) -> dict[int, int | None]:
        """See `ports.RecordFinder`."""
        return dict.fromkeys(positions)


def test_a_stuck_worker_logs_the_stacks_of_its_threads_once() -> None:
    """Whoever reads the log after the worker was killed sees where each thread was."""
    now = 100.0
    with structlog.testing.capture_logs() as lines:
        meter = LogMeter(INTERVAL_S, lambda: now, stuck_after_s=20.0)
        meter.started(_NoClients(), threading.Event(), -1)
        meter.assigned({0})
        now += 19
        meter.report()
        assert [line["event"] for line in lines] == ["assigned"]
        now += 2
        meter.report()
        meter.report()
        (stuck,) = [line for line in lines if line["event"] == "stuck"]
        assert stuck["cause"] == "the loop has not completed an iteration for 21 s"
        assert "thread MainThread:" in stuck["frames"]
        assert "test_a_stuck_worker_logs_the_stacks" in stuck["frames"]
        meter.tick(MemoryBroker().open())
        meter.report()
        now += 21
        meter.report()
    assert [line["event"] for line in lines].count("stuck") == 2, "it worked in between"


class _NoClients:
    """See `ports.ClientStatistics`; none has reported yet."""

    def figures(self) -> dict[str, ClientFigures]:
        """Return nothing."""
        return {}

    def rotations(self) -> int:
        """Return 0."""
        return 0


def test_reports_come_from_separate_threads() -> None:
    """Reports come while the caller's block does nothing, and none comes after the block."""
    meter, watch = _Hearing(), _Watch()
    with reporting(meter, watch, _NothingWaits()):
        assert meter.told.wait(10)
        assert meter.reported.wait(10)
    count = len(meter.stalls)
    assert meter.stalls[0] == DOWN
    watch.looked.clear()
    assert not watch.looked.wait(1.5)
    assert len(meter.stalls) == count


class _Buggy(_Hearing):
    """A meter whose first report fails."""

    def report(self) -> None:
        if not self.told_twice():
            raise ZeroDivisionError
        super().report()

    def told_twice(self) -> bool:
        """Whether this was asked before."""
        before, self.asked = getattr(self, "asked", False), True
        return before


def test_a_bug_does_not_end_the_reports() -> None:
    """A bug in a report is logged, and the next report comes all the same."""
    meter = _Buggy()
    with structlog.testing.capture_logs() as lines, reporting(meter, _Watch(), _NothingWaits()):
        assert meter.reported.wait(10)
    assert "a bug of this program's reports" in [line["event"] for line in lines]


def test_first_statistics_can_come_sooner() -> None:
    """Somebody who watches sees life soon; then each interval has its length."""
    now = 100.0
    with structlog.testing.capture_logs() as lines:
        meter = LogMeter(INTERVAL_S, lambda: now, first_s=2.0)
        for seconds in (1.0, 1.0, 2.0, INTERVAL_S):
            now += seconds
            meter.report()
            lines.append({"event": str(now)})
    events = [line["event"] for line in lines]
    assert events == ["101.0", "statistics", "102.0", "104.0", "statistics", "134.0"]
