"""Reading the exposition of this program."""

from __future__ import annotations

import pytest

from pipeline.metrics.catalogue import Metric
from pipeline.metrics.scrape import parse_exposition

TEXT = """\
# HELP track_pipeline_records_consumed_total Raw records whose outcome is committed.
# TYPE track_pipeline_records_consumed_total counter
track_pipeline_records_consumed_total 12345.0
# TYPE track_pipeline_events_dead_lettered_total counter
track_pipeline_events_dead_lettered_total{reason="revenue_invalid"} 7
track_pipeline_events_dead_lettered_total{reason="event_blank"} 1e3
# TYPE track_pipeline_lag_seconds gauge
track_pipeline_lag_seconds{partition="0"} 1.5
track_pipeline_lag_seconds{partition="1"} NaN
# TYPE track_pipeline_commit_seconds histogram
track_pipeline_commit_seconds_bucket{le="+Inf"} 3
track_pipeline_commit_seconds_count 3
track_pipeline_commit_seconds_sum 0.1
# TYPE something_new gauge
something_new 1
"""


def test_counters_and_gauges_are_read() -> None:
    """Values are found by metric and labels; what the catalogue lacks is skipped."""
    assert parse_exposition(TEXT) == {
        Metric.RECORDS_CONSUMED: {(): 12345},
        Metric.EVENTS_DEAD_LETTERED: {("revenue_invalid",): 7, ("event_blank",): 1000},
        Metric.LAG_SECONDS: {("0",): 1.5},
    }
    assert parse_exposition("") == {}


@pytest.mark.parametrize(
    "text", ["<html><body>no</body></html>", "a b c", 'x{a="b" 1', "x{", '{"json": 1}', "\0\1"]
)
def test_other_text_is_an_error(text: str) -> None:
    """HTML, JSON and broken lines are one kind of error."""
    with pytest.raises(ValueError, match="not in Prometheus' format"):
        parse_exposition(text)
