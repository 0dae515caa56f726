"""Reads what `/metrics` of this program answers."""

from __future__ import annotations

from math import isfinite
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from pipeline.metrics.catalogue import Metric
from pipeline.metrics.samples import Labels, Samples

_BY_NAME: Final = {metric.value.name: metric for metric in Metric}


def parse_exposition(text: str) -> Samples:
    """Values of this program's counters and gauges in Prometheus' text format.

    Metrics that the catalogue does not have are skipped: a newer version may expose more. Raises
    ValueError when the text is in another format.
    """
    found: dict[Metric, dict[Labels, float]] = {}
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                metric = _BY_NAME.get(sample.name)
                if metric is not None and isfinite(sample.value):
                    labels = tuple(sample.labels.get(name, "") for name in metric.value.labels)
                    found.setdefault(metric, {})[labels] = sample.value
    except (ValueError, LookupError, TypeError) as error:  # whatever the parser stumbles over
        raise ValueError("the text is not in Prometheus' format") from error
    return found
