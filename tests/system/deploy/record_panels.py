"""Runs two workers under load and faults, and writes what the dashboard's queries return as JSON.

The first half of `make panels`; `draw_panels.py` is the second. Faults: an SDK that sends invalid
events, a worker that is killed, a burst of records.
"""

from __future__ import annotations

import json
import re
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import psutil

from pipeline.demo.local_kafka.broker import LocalKafka
from pipeline.demo.local_kafka.ports import free_port
from tests.brokers import unique
from tests.kafka.worker_process import Pipeline
from tests.system.deploy.dashboard import dashboard
from tests.system.deploy.panels_events import FLOW, LAG, SPEED, WELL
from tests.system.deploy.panels_operation import TRANSACTIONS
from tests.system.deploy.prometheus_server import PrometheusServer

_SHOWN: Final = {
    *(panel.title for panel in WELL.panels[:6]),
    *(panel.title for panel in (*FLOW.panels, *LAG.panels[:2], *SPEED.panels)),
    *(panel.title for panel in TRANSACTIONS.panels),
}
_LABEL: Final = re.compile(r"\{\{(\w+)\}\}")
_USUAL: Final = ("--rate", "250", "--count", "42500")
_INVALID: Final = ("--rate", "60", "--count", "1800", "--invalid-share", "1", "--seed", "7")
_BURST: Final = ("--rate", "20000", "--count", "60000", "--seed", "8")
_RECOVERED_S: Final = 20.0


def _load(pipeline: Pipeline, *options: str) -> None:
    pipeline.start_command("generate", "--topic", pipeline.names.raw, *options)


def _disturb(pipeline: Pipeline, supervisor: int) -> None:
    """Load with three faults, one after the other; takes two and a half minutes."""
    _load(pipeline, *_USUAL)
    time.sleep(40)
    _load(pipeline, *_INVALID)
    time.sleep(45)
    workers = psutil.Process(supervisor).children()
    workers[-1].send_signal(signal.SIGKILL)
    time.sleep(30)
    _load(pipeline, *_BURST)
    time.sleep(40)


def _named(labels: Mapping[str, str], legend: str) -> str:
    return _LABEL.sub(lambda match: labels.get(match[1], ""), legend)


def _recorded(server: PrometheusServer, panel: dict[str, Any], first: float) -> dict[str, Any]:
    series = []
    for target in panel["targets"]:
        query = target["expr"]
        if panel["type"] == "stat":
            found = [(labels, [(0.0, value)]) for labels, value in server.query(query)]
        else:
            found = server.query_range(query, first, time.time(), 1.0)
        for labels, values in found:
            name = _named(labels, target["legendFormat"])
            series.append({"name": name, "values": [(at - first, value) for at, value in values]})
    defaults = panel["fieldConfig"]["defaults"]
    return {
        "title": panel["title"],
        "type": panel["type"],
        "unit": defaults["unit"],
        "if_absent": defaults["noValue"],
        "steps": defaults["thresholds"]["steps"],
        "texts": {
            value: option["text"]
            for mapping in defaults.get("mappings", ())
            for value, option in mapping["options"].items()
        },
        "stacked": defaults.get("custom", {}).get("stacking", {}).get("mode", "none"),
        "series": series,
    }


def record() -> list[dict[str, Any]]:
    """The panels that the picture shows, with their data."""
    with tempfile.TemporaryDirectory() as name, LocalKafka() as kafka:
        folder = Path(name)
        pipeline = Pipeline(kafka.bootstrap_servers, unique, folder)
        pipeline.create_topics(4)
        port = free_port()
        flags = ("--workers", "2", "--http-port", str(port))
        supervisor = pipeline.start("w", *flags, http__host="127.0.0.1")
        try:
            with PrometheusServer(folder, [f"127.0.0.1:{port}"]) as server:
                pipeline.wait_for(lambda: server.value("track_pipeline_ready") == 1, "the start")
                first = time.time()
                _disturb(pipeline, supervisor.pid)
                pipeline.wait_until_done()
                time.sleep(_RECOVERED_S)
                panels = [panel for panel in dashboard()["panels"] if panel["title"] in _SHOWN]
                return [_recorded(server, panel, first) for panel in panels]
        finally:
            pipeline.end_all()


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(record()), encoding="utf-8")
