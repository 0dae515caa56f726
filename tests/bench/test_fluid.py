"""The simulation of `make capacity` gives what can be calculated by hand."""

from __future__ import annotations

import pytest

from tests.bench.fluid import DAY_S, STEP_S, Fixed, Group, Keda, Load, simulate

_STEADY = Load(1000, peak=1, burst=1, outage_s=0)
_EVEN = Group(partitions=4, per_worker=500, hottest=1)


@pytest.mark.parametrize("scaler", [Fixed(1), Fixed(8), Keda(1, 12, 50_000)])
def test_every_event_is_served_or_still_waits(scaler: Fixed | Keda) -> None:
    """No fluid is lost or made: as much is served as has arrived, when enough workers are there."""
    load, group = Load(10_000), Group(partitions=12, per_worker=4000)
    outcome = simulate(load, group, scaler)
    assert outcome.arrived == pytest.approx(2 * DAY_S * load.average, rel=0.02)  # and the burst
    assert outcome.served <= outcome.arrived * (1 + 1e-9)
    if scaler != Fixed(1):
        assert outcome.served == pytest.approx(outcome.arrived, rel=1e-4)


def test_enough_workers_are_never_late() -> None:
    """Twice the workers that the load needs: nothing waits, nothing changes."""
    outcome = simulate(_STEADY, _EVEN, Fixed(4))
    assert (outcome.oldest_s, outcome.caught_up_s, outcome.rebalances) == (0, 0, 0)
    assert outcome.worker_hours == 4 * 24


def test_too_few_workers_fall_behind_by_what_is_missing() -> None:
    """With nine tenths of the power that is needed, a day's last event waits a tenth of the day."""
    outcome = simulate(_STEADY, _EVEN._replace(per_worker=225), Fixed(4))
    assert outcome.oldest_s == pytest.approx(DAY_S / 10, abs=2 * STEP_S)
    assert outcome.caught_up_s is None


@pytest.mark.parametrize("hours", [1, 3])
def test_backlog_is_worked_off_by_what_is_left_over(hours: int) -> None:
    """With half as much power again as the load needs, an outage takes twice its time."""
    load = _STEADY._replace(outage_s=hours * 3600)
    outcome = simulate(load, _EVEN._replace(per_worker=375), Fixed(4))
    assert outcome.caught_up_s == pytest.approx(2 * hours * 3600, abs=2 * STEP_S)


def test_workers_beyond_the_partitions_are_idle() -> None:
    """Eight workers on four partitions do what four do."""
    load = _STEADY._replace(outage_s=3600)
    four, eight = (simulate(load, _EVEN, Fixed(workers)) for workers in (4, 8))
    assert eight.caught_up_s == four.caught_up_s
    assert eight.worker_hours == 2 * four.worker_hours


def test_fullest_partition_decides_how_late_events_are() -> None:
    """The mean partition would keep up; the fullest one has more than one worker can read."""
    group = Group(partitions=4, per_worker=300, hottest=1.5)
    assert simulate(_STEADY, group._replace(hottest=1), Fixed(4)).oldest_s == 0
    late = simulate(_STEADY, group, Fixed(4)).oldest_s
    assert late == pytest.approx(DAY_S * (1 - 300 / 375), abs=2 * STEP_S)


def test_more_workers_on_lag_and_fewer_afterwards() -> None:
    """KEDA goes up to the partitions during an outage, and back to its minimum later."""
    load = _STEADY._replace(outage_s=3600)
    outcome = simulate(load, Group(partitions=4, per_worker=600, hottest=1), Keda(2, 4, 100_000))
    assert (outcome.least_workers, outcome.most_workers) == (2, 4)
    assert outcome.rebalances == 4  # one worker at a time
    assert outcome.worker_hours < 3 * 24
