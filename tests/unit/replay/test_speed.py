"""How fast a replay goes, and how long it still takes."""

from __future__ import annotations

from pipeline.cli.replay.progress import Speed
from pipeline.core.counts import OutcomeCounts
from pipeline.replay.plan import Part
from pipeline.replay.status import ReplayStatus
from tests.unit.replay.plans import plan_of

PLAN = plan_of(Part(0, 0, 100_000))


def _at(offset: int, events: int) -> ReplayStatus:
    return ReplayStatus(PLAN, {0: offset}, {0: OutcomeCounts(enriched=events)}, None)


def _told(*looks: tuple[float, int, int]) -> str:
    """What is said at the last of these: seconds, offset, events."""
    times = iter([time for time, _, _ in looks])
    speed = Speed(lambda: next(times))
    return [speed.text(_at(offset, events)) for _, offset, events in looks][-1]


def test_one_status_tells_no_speed() -> None:
    """A single status tells no speed, nor do two between which nothing moved."""
    assert _told((0, 500, 500)) == "0 dead letters"
    assert _told((0, 500, 500), (10, 500, 500)) == "0 dead letters"


def test_time_left_is_reckoned_in_offsets() -> None:
    """The time that is left follows from offsets, whatever number of events each has."""
    assert _told((0, 0, 0), (10, 10_000, 50_000)) == "5,000 events/s, 1:30 left, 0 dead letters"


def test_only_the_last_half_minute_counts() -> None:
    """A replay that became slower is shown at its speed of the last half minute."""
    looks = ((0, 0, 0), (10, 50_000, 50_000), (40, 53_000, 53_000))
    assert _told(*looks) == "100 events/s, 7:50 left, 0 dead letters"
