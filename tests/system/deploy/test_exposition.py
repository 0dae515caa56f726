"""What is exposed follows Prometheus' own rules for names, types and help."""

from __future__ import annotations

import subprocess

from pipeline.metrics.catalogue import Metric
from pipeline.metrics.exposition import Exposed, Exposition
from pipeline.metrics.samples import BOUNDS, Histogram
from tests.tools import required_tool


def test_promtool_has_nothing_to_say_about_any_metric() -> None:
    """Every metric of the catalogue is exposed here, and linted by Prometheus' own tool."""
    samples = {
        metric: {tuple(f"{label}-1" for label in metric.value.labels): 1.0}
        for metric in Metric
        if metric not in BOUNDS
    }
    histograms = {metric: Histogram.empty(metric) for metric in BOUNDS}
    _, body = Exposition(lambda: Exposed(samples, histograms)).render()
    for metric in Metric:
        assert f"# TYPE {metric.value.name} {metric.value.type}\n".encode() in body
    command = [str(required_tool("promtool")), "check", "metrics"]
    checked = subprocess.run(command, input=body, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
