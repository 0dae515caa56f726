"""When a worker counts as alive and ready, and which reasons it gives."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.metrics.health import health_of_all, worker_health
from pipeline.metrics.snapshot import WorkerCondition

NOW = 10_000.0
LIMIT_S = 180.0
LONG_AGO = NOW - LIMIT_S - 1


def _condition(**changes: Any) -> WorkerCondition:
    return WorkerCondition(
        **{"written_at": NOW, "moved_at": NOW, "state": "running", "partitions": 3, **changes}
    )


@pytest.mark.parametrize(
    ("changes", "health", "code"),
    [
        ({}, "ready", "running"),
        ({"owes_since": NOW - 10}, "ready", "running"),
        ({"owes_since": LONG_AGO}, "dead", "stuck"),
        ({"moved_at": LONG_AGO}, "dead", "stuck"),
        ({"written_at": LONG_AGO}, "dead", "stuck"),
        (
            {"state": "waiting", "owes_since": LONG_AGO, "moved_at": LONG_AGO},
            "unready",
            "waiting",
        ),
        ({"state": "recovering"}, "unready", "recovering"),
        ({"state": "recovering", "moved_at": LONG_AGO}, "dead", "stuck"),
        ({"state": "breaker_open", "owes_since": LONG_AGO}, "unready", "breaker_open"),
        ({"state": "waiting", "written_at": LONG_AGO}, "dead", "stuck"),
        ({"state": "starting", "moved_at": LONG_AGO}, "unready", "starting"),
        ({"state": "no_partitions"}, "unready", "no_partitions"),
        ({"state": "no_partitions", "moved_at": LONG_AGO}, "dead", "stuck"),
        ({"state": "stopping", "moved_at": LONG_AGO}, "unready", "stopping"),
    ],
)
def test_only_unexplained_standstill_is_stuck(
    changes: dict[str, Any], health: str, code: str
) -> None:
    """A cause outside of the worker makes it unready, but a restart would not help."""
    found = worker_health(_condition(cause="the reason", **changes), NOW, LIMIT_S)
    assert (found.live, found.ready, found.code) == (health != "dead", health == "ready", code)
    assert bool(found.reasons) is not found.ready


def test_reasons_of_several_workers_name_the_worker() -> None:
    """All are ready when each one is; one that is not there yet counts as starting."""
    good = worker_health(_condition(), NOW, LIMIT_S)
    waiting = worker_health(_condition(state="waiting", cause="no broker answers"), NOW, LIMIT_S)
    assert health_of_all([good, good]) == (True, True, "running", ())
    assert health_of_all([waiting]).reasons == ("no broker answers",)
    several = health_of_all([good, waiting, None])
    assert (several.live, several.ready, several.code) == (True, False, "waiting")
    assert several.reasons == ("worker 1: no broker answers", "worker 2: it is starting")
