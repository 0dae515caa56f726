"""A watch that goes on whatever happens, and never exposes what it saw before a failure."""

from __future__ import annotations

from http import HTTPStatus

import pytest
from structlog.testing import capture_logs

from pipeline.errors import RefusedError, TransportError
from pipeline.metrics.catalogue import Metric
from pipeline.monitor.collectors import Collected
from pipeline.monitor.watch import Watch

LAG = Collected(
    {Metric.WATCH_LAG_RECORDS: {("0",): 7.0}},
    {"members": 1, "lag_records": 7},
    {"group": "g"},
    ("partition 1 has no leader",),
)
DEAD = Collected({Metric.WATCH_DEAD_LETTERS: {("bad_json",): 2.0}}, {"dead_letters": 2})
AWAY = TransportError("nothing listens at kafka:9092")


class Scripted:
    """A collector that finds or raises what it is told to."""

    def __init__(self, outcome: Collected | Exception) -> None:
        self.outcome = outcome
        self.looks = 0

    def collect(self) -> Collected:
        """See `Collector`."""
        self.looks += 1
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def close(self) -> None:
        """See `Collector`."""


class Now:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        """See `time.monotonic`."""
        return self.seconds

    def now(self) -> int:
        """See `ports.Clock`."""
        return round(self.seconds * 1000)

    def monotonic(self) -> float:
        """See `ports.Clock`."""
        return self.seconds


@pytest.fixture
def clock() -> Now:
    """The clock of the watch."""
    return Now()


@pytest.fixture
def cluster() -> Scripted:
    """The part without which there is no look."""
    return Scripted(LAG)


@pytest.fixture
def dead_letters() -> Scripted:
    """Another part."""
    return Scripted(DEAD)


@pytest.fixture
def watch(clock: Now, cluster: Scripted, dead_letters: Scripted) -> Watch:
    """A watch that has not looked yet."""
    return Watch([cluster, dead_letters], stuck_after_s=60, clock=clock, wall_clock=clock)


def _up(watch: Watch) -> float:
    return watch.exposed().samples[Metric.WATCH_UP][()]


def _status(watch: Watch, path: str) -> HTTPStatus:
    return watch.routes()[path]("").status


def test_before_the_first_look_it_is_live_and_not_ready(watch: Watch) -> None:
    """Nothing is exposed but that nothing is known."""
    assert set(watch.exposed().samples) == {Metric.WATCH_UP}
    assert _up(watch) == 0
    assert (_status(watch, "/livez"), _status(watch, "/readyz")) == (200, 503)


def test_look_exposes_what_all_parts_have_found(watch: Watch) -> None:
    """One line is logged, and a notice only when it is new."""
    with capture_logs() as lines:
        watch.look()
        watch.look()
    assert [line["event"] for line in lines] == ["noticed", "watched", "watched"]
    assert lines[1]["lag_records"] == 7
    assert lines[1]["dead_letters"] == 2
    samples = watch.exposed().samples
    assert samples[Metric.WATCH_LAG_RECORDS] == {("0",): 7}
    assert samples[Metric.WATCH_DEAD_LETTERS] == {("bad_json",): 2}
    assert samples[Metric.WATCH_LAST_SUCCESS][()] == 1000
    assert _up(watch) == 1
    assert _status(watch, "/readyz") == 200
    assert watch.status()["notices"] == ["partition 1 has no leader"]


def test_failed_look_leaves_no_stale_lag(
    watch: Watch, cluster: Scripted, dead_letters: Scripted, clock: Now
) -> None:
    """The other parts are not asked; the failure is logged at once and again, and so is its end."""
    watch.look()
    cluster.outcome = AWAY
    with capture_logs() as lines:
        for _ in range(2):
            clock.seconds += 30
            watch.look()
        cluster.outcome = LAG
        clock.seconds += 30
        watch.look()
    assert [line["event"] for line in lines] == [
        "waiting",
        "waiting",
        "noticed",
        "recovered",
        "watched",
    ]
    assert lines[0]["cause"] == "nothing listens at kafka:9092"
    assert lines[3]["after_s"] == 60
    assert dead_letters.looks == 2


def test_metrics_of_a_failed_look_are_those_of_the_failure(
    watch: Watch, cluster: Scripted, clock: Now
) -> None:
    """The time of the last success stays."""
    watch.look()
    cluster.outcome = AWAY
    clock.seconds += 30
    watch.look()
    assert set(watch.exposed().samples) == {Metric.WATCH_UP, Metric.WATCH_LAST_SUCCESS}
    assert _up(watch) == 0
    assert watch.exposed().samples[Metric.WATCH_LAST_SUCCESS][()] == 1000
    assert watch.routes()["/readyz"]("").body == b"nothing listens at kafka:9092\n"
    assert _status(watch, "/livez") == 200


def test_part_that_may_not_be_read_does_not_fail_the_look(
    watch: Watch, dead_letters: Scripted
) -> None:
    """Some do not grant READ on dead letters; the sentence is logged once."""
    dead_letters.outcome = RefusedError("grant this user READ on the topic")
    with capture_logs() as lines:
        watch.look()
        watch.look()
    assert _up(watch) == 1
    assert [line["event"] for line in lines].count("noticed") == 2
    assert Metric.WATCH_DEAD_LETTERS not in watch.exposed().samples


def test_part_that_fails_makes_the_look_incomplete(watch: Watch, dead_letters: Scripted) -> None:
    """What the others have found is exposed all the same."""
    dead_letters.outcome = TransportError("no answer")
    watch.look()
    assert _up(watch) == 0
    assert watch.exposed().samples[Metric.WATCH_LAG_RECORDS] == {("0",): 7}


def test_missing_topic_fails_the_look(watch: Watch, cluster: Scripted) -> None:
    """The sentence says which command creates it."""
    cluster.outcome = RefusedError("topics do not exist: track.raw")
    watch.look()
    assert watch.routes()["/readyz"]("").body == b"topics do not exist: track.raw\n"


def test_bug_in_a_part_does_not_end_the_watch(watch: Watch, cluster: Scripted) -> None:
    """The look has failed, and the next one may succeed."""
    cluster.outcome = ZeroDivisionError("division by zero")
    watch.look()
    assert watch.status()["failure"].startswith("looking at the cluster failed: ZeroDivisionError")
    cluster.outcome = LAG
    watch.look()
    assert _up(watch) == 1


def test_watch_that_hangs_is_not_live(watch: Watch, clock: Now) -> None:
    """A look that does not return is a reason to restart it."""
    watch.look()
    clock.seconds += 61
    assert _status(watch, "/livez") == 503
