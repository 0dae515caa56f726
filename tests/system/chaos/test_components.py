"""The parts of the chaos suite: failpoints, ledger, checks, event log and conclusion."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from pipeline.core.reasons import Reason
from tests.brokers import Stored
from tests.system.chaos.audit_check import (
    CheckResult,
    Outcomes,
    compare_outcomes,
    written_again,
)
from tests.system.chaos.cluster_admin import internal_partition
from tests.system.chaos.coverage import Coverage
from tests.system.chaos.engine import RunResult
from tests.system.chaos.event_log import LoggedRecord, difference
from tests.system.chaos.failpoints import Action, Failpoint, Failpoints, Point, arm, fired_file
from tests.system.chaos.load import Entry, Ledger, digest
from tests.system.chaos.report import conclusion
from tests.system.chaos.scenario import Scenario

POSITION = (0, 7)
NULL = Reason.NULL_VALUE.value
FULL = Coverage(
    aborted_outputs=9, rebalances=8, fencings=7, soft_resets=0, hard_resets=6, restarts=5
)
ALL_WELL = CheckResult(events=100, lost=0, duplicated=0, other=0, examples=[])


@pytest.fixture
def failpoint_file(tmp_path: Path) -> Path:
    """The file of a slot's failpoint."""
    return tmp_path / "w1.failpoint"


def test_a_failpoint_fires_once(failpoint_file: Path) -> None:
    """A failpoint waits for its point and for the passes before it, then fires and is gone."""
    failpoints = Failpoints(failpoint_file)
    assert not failpoints.reached(Point.SEEK)
    arm(failpoint_file, Failpoint(Point.SEEK, Action.SKIP, passes=1))
    assert not failpoints.reached(Point.AFTER_CONSUME)
    assert [failpoints.reached(Point.SEEK) for _ in range(3)] == [False, True, False]
    assert fired_file(failpoint_file).exists()
    assert not failpoint_file.exists()


def test_a_failpoint_can_wait_for_another_point(failpoint_file: Path) -> None:
    """With `after`, passes of its own point count only from there on."""
    failpoints = Failpoints(failpoint_file)
    arm(failpoint_file, Failpoint(Point.SEEK, Action.SKIP, after=Point.BISECTING))
    assert not failpoints.reached(Point.SEEK)
    assert not failpoints.reached(Point.BISECTING)
    assert failpoints.reached(Point.SEEK)


def test_a_failpoint_can_step_the_clock(failpoint_file: Path) -> None:
    """The clock steps by the seconds of the failpoint."""
    failpoints = Failpoints(failpoint_file)
    arm(failpoint_file, Failpoint(Point.AFTER_CONSUME, Action.STEP_CLOCK, seconds=-60))
    failpoints.reached(Point.AFTER_CONSUME)
    assert failpoints.clock_step_s == -60


def test_the_ledger_reads_what_it_wrote(tmp_path: Path) -> None:
    """Intended, acknowledged and undecided records come back from the file."""
    ledger = Ledger(tmp_path / "ledger.txt")
    entry = Entry(2, (NULL, NULL), digest(b"k", None))
    ledger.intend(1, entry)
    ledger.intend(2, Entry(1, (), digest(None, b"")))
    ledger.acknowledge(1, 3, 44)
    ledger.leave_undecided(2, 3, 45)
    ledger.close()
    assert ledger.intended() == {1: entry, 2: Entry(1, (), digest(None, b""))}
    assert ledger.acknowledged() == {(3, 44): 1}
    assert ledger.undecided() == {(3, 45): 2}
    assert digest(None, None) != digest(None, b"")


ENTRY = Entry(3, (NULL,), "")
GOOD = ({"0": 1, "2": 1}, [("1", NULL, "decode")])


@pytest.mark.parametrize(
    ("enriched", "dead_letters", "expected"),
    [
        (*GOOD, (0, 0, "")),
        ({"0": 1}, GOOD[1], (1, 0, "")),
        (GOOD[0], [], (1, 0, "")),
        ({"0": 2, "2": 1}, GOOD[1], (0, 1, "")),
        (GOOD[0], GOOD[1] * 2, (0, 1, "")),
        ({"0": 1, "1": 1, "2": 1}, [], (0, 0, "(none)")),
        (GOOD[0], [("1", "event_blank", "validate")], (0, 0, "event_blank")),
        ({}, [("", "timestamp_refused", "produce")], (0, 0, "")),
        ({"0": 1}, [("", "timestamp_refused", "produce")], (0, 1, "")),
        ({}, [("", "timestamp_refused", "produce")] * 2, (0, 1, "")),
    ],
)
def test_lost_and_duplicated_outcomes_are_counted(
    enriched: dict[str, int],
    dead_letters: list[tuple[str, str, str]],
    expected: tuple[int, int, str],
) -> None:
    """Lost, duplicated and unexpected outcomes of one record are told apart."""
    outcomes = Outcomes({POSITION: Counter(enriched)}, {POSITION: dead_letters})
    assert compare_outcomes(ENTRY, outcomes, POSITION) == expected


def test_a_copy_of_an_acknowledged_record_is_a_raw_record_too() -> None:
    """A client may write a record again; one of an aborted transaction is still nobody's."""
    again, aborted = (Stored(value, None, [], 1, 0, 0) for value in (b"again", b"aborted"))
    intended = {
        number: Entry(1, (), digest(each.key, each.value))
        for number, each in enumerate((again, aborted))
    }
    raw = {(0, 5): again, (0, 7): again, (0, 8): aborted}
    assert written_again(raw, intended, {(0, 7): 0}) == {(0, 5): 0}


@pytest.mark.parametrize(
    "stored",
    [
        [LoggedRecord(1, 5)],
        [LoggedRecord(1, 5), LoggedRecord(3, 6)],
        [LoggedRecord(1, 5), LoggedRecord(2, 7)],
        [],
    ],
)
def test_the_event_log_finds_a_difference(stored: list[LoggedRecord]) -> None:
    """A record that is missing, moved or changed since it was logged is reported."""
    logged = [LoggedRecord(1, 5), LoggedRecord(2, 6)]
    assert difference(logged, stored)
    assert difference(logged, list(logged)) is None


def test_the_partition_of_a_coordinator_is_found_as_kafka_does() -> None:
    """The partition is Java's String.hashCode without its sign, modulo their number."""
    # Java gives the first the smallest integer, and the second 2112.
    assert internal_partition("polygenelubricants", 50) == 0
    assert internal_partition("Aa", 50) == 2112 % 50


def _result(*, chosen: bool, coverage: Coverage = FULL) -> RunResult:
    scenario = Scenario(1, ("zombie",), needs_full_coverage=not chosen)
    result = RunResult(scenario, checks={"ledger": ALL_WELL, "audit": ALL_WELL})
    result.cover(coverage)
    return result


def test_chosen_faults_need_not_cause_everything() -> None:
    """A run of chosen faults passes without the recoveries that only other faults cause."""
    nothing = Coverage(*[0] * len(FULL))
    assert _result(chosen=True, coverage=nothing).ok
    assert not _result(chosen=False, coverage=nothing).ok
    without = _result(chosen=False, coverage=FULL._replace(hard_resets=0, soft_resets=0))
    assert without.uncovered == ["no hard resets"]


def test_a_chosen_fault_must_take_effect() -> None:
    """A run whose only fault never took effect has proven nothing."""
    result = _result(chosen=True)
    result.uncovered.append("zombie: no worker reached the point after_produce")
    assert conclusion(result).startswith("INCONCLUSIVE: no event lost, none duplicated")


def test_the_conclusion_says_what_was_found() -> None:
    """The last line tells passed from failed, and counts the worst that a check has found."""
    result = _result(chosen=False)
    assert conclusion(result) == "PASSED: no event lost, none duplicated"
    result.checks["audit"] = ALL_WELL._replace(lost=2, examples=["lost: raw/0/7", "lost: raw/0/8"])
    assert conclusion(result) == "FAILED: 2 events lost, none duplicated; failures are listed above"
    result = _result(chosen=False)
    result.violations.append("starting took more than 90 s")
    assert conclusion(result) == "FAILED: no event lost, none duplicated; failures are listed above"
