"""The Grafana dashboard: complete, readable, and made of metrics that exist."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any, Final

import pytest

from tests.system.deploy.dashboard import DASHBOARD, SOURCE, as_text
from tests.system.deploy.files import ROOT, text
from tests.system.deploy.panel import SELECTED
from tests.system.deploy.prometheus_files import exposed, unknown_series

_CONTENT: Final[dict[str, Any]] = json.loads(text(DASHBOARD))
_ALL: Final = _CONTENT["panels"]
PANELS: Final = [panel for panel in _ALL if panel["type"] != "row"]
_EACH: Final = pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return (
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )


def test_dashboard_is_fresh() -> None:
    """The file is what `python -m tests.system.deploy.dashboard` writes."""
    assert text(DASHBOARD) == as_text()


def test_no_panel_hides_another() -> None:
    """Panels have ids and titles of their own, and places that do not overlap."""
    assert len({panel["id"] for panel in _ALL}) == len(_ALL)
    assert len({panel["title"] for panel in _ALL}) == len(_ALL)
    for one, other in combinations(_ALL, 2):
        assert not _overlap(one["gridPos"], other["gridPos"]), (one["title"], other["title"])
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in _ALL)


@_EACH
def test_each_panel_says_what_it_shows(panel: dict[str, Any]) -> None:
    """A panel has a description, a unit, and the data source that is chosen above."""
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == SOURCE
    assert panel["targets"]
    assert all(target["datasource"] == SOURCE for target in panel["targets"])


@_EACH
def test_each_query_is_about_the_chosen_workers(panel: dict[str, Any]) -> None:
    """Queries name only series that exist, and select by the variables."""
    for target in panel["targets"]:
        query = target["expr"]
        assert list(unknown_series(query)) == []
        assert query.count("{") == query.count(SELECTED)
        assert "$s" not in query


def test_picture_of_the_dashboard_is_small() -> None:
    """The picture in the documents, which `make panels` draws, is not a burden for a checkout."""
    assert (ROOT / "docs/images/dashboard.png").stat().st_size < 300_000


def test_variables_choose_source_namespace_and_group() -> None:
    """The variables are there, in the order in which one depends on another."""
    variables = _CONTENT["templating"]["list"]
    assert [each["name"] for each in variables] == ["datasource", "namespace", "job"]
    assert all(each["datasource"] == SOURCE for each in variables[1:])


def test_what_matters_is_shown() -> None:
    """Nearly every metric is on the dashboard; what is left out is said here."""
    shown = "".join(target["expr"] for panel in PANELS for target in panel["targets"])
    shown = shown.replace("(watch_)?", "") + shown.replace("(watch_)?", "watch_")
    missing = {name for name in exposed() if name not in shown and not name.endswith("_sum")}
    left_out = {
        "track_pipeline_client_queue_bytes": "records say the same",
        "track_pipeline_live": "an alert; `ready` is 0 as well",
        "track_pipeline_not_ready": "an alert, and /readyz in words",
        "track_pipeline_processing_errors_total": "an alert; it is among the reasons",
        "track_pipeline_records_consumed_total": "events are shown",
        "track_pipeline_records_isolated_total": "they are among the reasons",
        "track_pipeline_records_lost_total": "an alert",
        "track_pipeline_start_time_seconds": "an alert counts its changes",
        "track_pipeline_watch_last_success_timestamp_seconds": "an alert",
        "track_pipeline_watch_up": "an alert",
    }
    assert {name for name in missing if not name.endswith(("_count", "_bucket"))} == set(left_out)
