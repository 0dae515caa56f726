"""Metrics of the dead letters that nobody has resolved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final, cast

from pipeline.dlq.backlog import Backlog, BacklogFollower
from pipeline.metrics.catalogue import Metric
from pipeline.monitor.dead_letters import DeadLetterCollector

BACKLOG: Final = Backlog(
    topic="track.dead-letter",
    unresolved={"revenue_invalid": 3, "invalid_json": 1},
    revenue={"EUR": Decimal("12.50")},
    unreadable=0,
    expiring=1,
    expiring_revenue={"EUR": Decimal("2.5")},
    retention_s=3600.0,
    deleted_unresolved=2,
    unread=0,
    notices=("READ on the ledger is denied",),
)


def _follower(*backlogs: Backlog) -> BacklogFollower:
    looks: Iterator[Backlog] = iter(backlogs)

    class Scripted:
        """Finds one backlog after the other."""

        def look(self) -> Backlog:
            """See `BacklogFollower`."""
            return next(looks)

    return cast("BacklogFollower", Scripted())


def _values(collector: DeadLetterCollector) -> dict[Metric, Any]:
    return {metric: dict(series) for metric, series in collector.collect().samples.items()}


def test_backlog_becomes_metrics_and_figures_of_the_log() -> None:
    """Numbers by reason, revenue by currency, and the deadline."""
    assert _values(DeadLetterCollector(_follower(BACKLOG))) == {
        Metric.WATCH_DEAD_LETTERS: {("revenue_invalid",): 3, ("invalid_json",): 1},
        Metric.WATCH_DEAD_LETTER_REVENUE: {("EUR",): 12.5},
        Metric.WATCH_DEAD_LETTERS_EXPIRING: {(): 1},
        Metric.WATCH_DEAD_LETTERS_EXPIRING_REVENUE: {("EUR",): 2.5},
        Metric.WATCH_DEAD_LETTER_RETENTION: {(): 3600},
        Metric.WATCH_DEAD_LETTERS_LOST: {(): 2},
    }
    found = DeadLetterCollector(_follower(BACKLOG)).collect()
    assert (found.fields["dead_letters"], found.fields["dead_letters_expiring"]) == (4, 1)
    assert found.notices == BACKLOG.notices
    assert found.status["dead_letters"]["revenue"] == {"EUR": "12.50"}


def test_unlimited_retention_has_no_deadline() -> None:
    """An absent metric is not one that says 0."""
    values = _values(DeadLetterCollector(_follower(replace(BACKLOG, retention_s=None))))
    assert Metric.WATCH_DEAD_LETTER_RETENTION not in values


def test_long_backlog_is_read_in_one_look_when_there_is_time() -> None:
    """The follower reads a limited number at once."""
    follower = _follower(replace(BACKLOG, unread=10), BACKLOG)
    assert Metric.WATCH_DEAD_LETTERS in _values(DeadLetterCollector(follower))


def test_numbers_that_are_too_low_are_not_exposed() -> None:
    """While the backlog is still being read, a notice says so instead."""
    collector = DeadLetterCollector(_follower(replace(BACKLOG, unread=10)), share_s=0)
    found = collector.collect()
    assert (dict(found.samples), dict(found.fields)) == ({}, {})
    assert found.notices[-1] == "still reading dead letters: 10 offsets are left"
