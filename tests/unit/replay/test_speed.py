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


def test_first_look() -> None:
    """A single look tells no speed, nor one where nothing moved."""
    assert _told((0, 500, 500)) == "0 dead letters"
    assert _told((0, 500, 500), (10, 500, 500)) == "0 dead letters"


def test_batches_of_many_events() -> None:
    """What is left is reckoned in offsets, whatever number of events each has."""
    assert _told((0, 0, 0), (10, 10_000, 50_000)) == "5,000 events/s, 1:30 left, 0 dead letters"


def test_it_became_slower() -> None:
    """Only the last half minute counts."""
    looks = ((0, 0, 0), (10, 50_000, 50_000), (40, 53_000, 53_000))
    assert _told(*looks) == "100 events/s, 7:50 left, 0 dead letters"
