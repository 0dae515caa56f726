"""Writes the Grafana dashboard from its panels: `python -m tests.system.deploy.dashboard`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import Any, Final

from tests.system.deploy.files import ROOT
from tests.system.deploy.panel import SELECTED, Panel, Query
from tests.system.deploy.panels_events import FLOW, LAG, SPEED, WELL
from tests.system.deploy.panels_operation import CLUSTER, MONEY, PROGRAM, TRANSACTIONS

DASHBOARD: Final = "deploy/grafana/dashboard.json"
SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_ROWS: Final = (WELL, FLOW, LAG, SPEED, TRANSACTIONS, MONEY, PROGRAM, CLUSTER)
_COLUMNS: Final = 24
_HEIGHTS: Final = {"stat": 4, "timeseries": 8, "heatmap": 8}


def dashboard() -> dict[str, Any]:
    """The dashboard, as Grafana imports it."""
    return {
        "title": "track-pipeline",
        "uid": "track-pipeline",
        "description": "Is it well, why not, and by when? The first row answers it at a glance.",
        "tags": ["track-pipeline", "kafka"],
        "schemaVersion": 38,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": list(_variables())},
        "annotations": {"list": []},
        "links": [],
        "panels": list(_panels()),
    }


def _variables() -> Iterator[dict[str, Any]]:
    yield {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
        "hide": 0,
    }
    series = '{__name__=~"track_pipeline_ready|track_pipeline_watch_up"%s}'
    for name, label, chosen in (
        ("namespace", "Namespace", ""),
        ("job", "Group of workers", ',namespace=~"$namespace"'),
    ):
        query = f"label_values({series % chosen}, {name})"
        yield {
            "name": name,
            "label": label,
            "type": "query",
            "datasource": SOURCE,
            "query": {"query": query, "refId": name},
            "definition": query,
            "refresh": 2,
            "sort": 1,
            "multi": True,
            "includeAll": True,
            # Matches an absent label as well: without Kubernetes there is no namespace.
            "allValue": ".*",
            "current": {"text": ["All"], "value": ["$__all"]},
            "hide": 0,
        }


def _panels() -> Iterator[dict[str, Any]]:
    ids = count(1)
    y = 0
    for row in _ROWS:
        place = {"h": 1, "w": _COLUMNS, "x": 0, "y": y}
        yield {
            "id": next(ids),
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "gridPos": place,
            "panels": [],
        }
        y += 1
        x = 0
        for panel in row.panels:
            height = _HEIGHTS[panel.type]
            place = {"h": height, "w": panel.width, "x": x, "y": y}
            yield {"id": next(ids), "gridPos": place, **_panel(panel)}
            x += panel.width
            if x == _COLUMNS:
                x, y = 0, y + height


def _panel(panel: Panel) -> dict[str, Any]:
    targets = [_target(panel, number, query) for number, query in enumerate(panel.queries)]
    return {
        "type": panel.type,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _options(panel),
    }


def _target(panel: Panel, number: int, query: Query) -> dict[str, Any]:
    return {
        "refId": chr(ord("A") + number),
        "datasource": SOURCE,
        "expr": query.expr.replace("$s", SELECTED),
        "legendFormat": query.legend or "__auto",
        "instant": panel.instant,
        "range": not panel.instant,
        "format": "heatmap" if panel.type == "heatmap" else "time_series",
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    steps = [{"value": value, "color": color} for value, color in panel.steps]
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "noValue": panel.if_absent,
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    if panel.texts:
        options = {value: {"text": text} for value, text in panel.texts}
        defaults["mappings"] = [{"type": "value", "options": options}]
    if panel.type == "timeseries":
        defaults["min"] = 0
        defaults["custom"] = {
            "drawStyle": "line",
            "fillOpacity": 10 if panel.stacked == "none" else 40,
            "lineWidth": 1,
            "showPoints": "never",
            "spanNulls": False,
            "stacking": {"mode": panel.stacked, "group": "A"},
        }
    return defaults


def _options(panel: Panel) -> dict[str, Any]:
    if panel.type == "stat":
        return {
            "colorMode": "background",
            "graphMode": "none",
            "textMode": "auto",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        }
    if panel.type == "heatmap":
        return {
            "calculate": False,
            "color": {"mode": "scheme", "scheme": "Spectral", "steps": 64},
            "yAxis": {"unit": panel.unit},
            "cellGap": 1,
        }
    return {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def as_text() -> str:
    """The file's content."""
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    (ROOT / DASHBOARD).write_text(as_text(), encoding="utf-8")
